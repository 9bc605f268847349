"""What stands in a page: for tests of the pages' files."""

from html.parser import HTMLParser


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the texts of elements by id."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.found, self.texts, self._open = [], {}, None
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        self._open = dict(attributes).get("id", tag)

    def handle_data(self, data):
        self.texts[self._open] = self.texts.get(self._open, "") + data
