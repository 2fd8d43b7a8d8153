"""The process that draws pictures: requests on standard input, PNG on standard output, nothing else.

A request is eight bytes of length and a pickled `MapPicture`; an answer eight bytes of length, one byte (`DRAWN` or
`FAILED`) and the PNG or the error's text. It ends when its input does, so it never outlives its parent.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import struct
import sys
import threading
from typing import BinaryIO

from vtoc_bots.plugins.pictures.picture import MapPicture
from vtoc_bots.plugins.pictures.render import render_map

LENGTH = struct.Struct(">Q")
DRAWN, FAILED = b"+", b"-"


def answer_to(request: bytes) -> bytes:
    """Return the answer's body: a picture, or why there is none."""
    try:
        # Only our own parent holds the other end of this pipe.
        picture = pickle.loads(request)  # noqa: S301
        if not isinstance(picture, MapPicture):
            raise TypeError(f"asked to draw a {type(picture).__name__}")
        return DRAWN + render_map(picture)
    except Exception as error:
        # Whatever one picture breaks, the next may be drawn; the parent tells the person who asked.
        return FAILED + f"{type(error).__name__}: {error}".encode(errors="replace")


def read_requests(source: BinaryIO, requests: queue.SimpleQueue[bytes]) -> None:
    """Pass requests on; end the process at once when the parent is gone, even in the middle of a picture."""
    while True:
        head = source.read(LENGTH.size)
        if len(head) < LENGTH.size:
            os._exit(0)
        requests.put(source.read(*LENGTH.unpack(head)))


def main() -> None:
    """Answer requests until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # Whatever a library prints must not come between the answers.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=read_requests, args=(sys.stdin.buffer, requests), daemon=True).start()
    while True:
        body = answer_to(requests.get())
        answers.write(LENGTH.pack(len(body)) + body)
        answers.flush()
