"""The errors a user can meet. Each message is one line: what is wrong, where, and what to do."""


class CharRNNError(Exception):
    """A problem with the data, a file or a request that the user can put right."""


class ConfigError(CharRNNError):
    """A setting that cannot be used: an absurd size, an unknown name, two settings that contradict."""


class CorpusError(CharRNNError):
    """A text that cannot be read, decoded or trained on."""


class VocabularyError(CharRNNError):
    """Characters that a model does not know."""


class CheckpointError(CharRNNError):
    """A checkpoint that is missing, damaged or of another kind."""
