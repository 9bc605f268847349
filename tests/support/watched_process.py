"""A process that watches another one: ``python watched_process.py NUMBER SIZE PORT TOKEN``.

Number 0 writes its port and its token to stdout.  ``abort`` writes "abort" and ends the process with status 9.  A line
on stdin closes the watch; the line "fail" has it end with an error.
"""

import importlib.util
import json
import os
import sys
from pathlib import Path

# Of the package nothing else is imported, because that takes long.
SOURCE = Path(__file__).parents[2] / "charrnn" / "training" / "watch.py"
spec = importlib.util.spec_from_file_location("watch", SOURCE)
watch = importlib.util.module_from_spec(spec)
spec.loader.exec_module(watch)

watch.BEAT_S, watch.SILENCE_S = 0.1, float(os.environ.get("SILENCE_S", "1000"))


def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def abort(status):
    say("abort", status)
    os._exit(9)


def main(number, size, *told):
    def from_first(listen):
        if number:
            return [int(told[0]), told[1], [["here"]]]
        found = listen()
        say(json.dumps(found))
        return found

    watching = watch.Watch(number, size, "here", from_first, abort)
    say("watches" if number == 0 or watching.sees_all else "sees nothing")
    if sys.stdin.readline() == "fail\n":
        watching.fail()
        os._exit(1)
    watching.close()
    say("closed")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
