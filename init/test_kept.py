"""Descriptors that outlive the engine."""

import os
import struct

from subreaper import DROP_FDS, END, FD, GIVE_FD, OK, keep


def test_descriptors_outlive_the_engine(start):
    init = start()
    read_end, write_end = os.pipe()
    first = init.client()
    assert keep(first, "c", "stdout", [read_end]).kind == OK
    assert keep(first, "c", "stdin", [write_end]).kind == OK
    assert keep(first, "c", "stdin", [write_end]).text == "c: stdin is already kept"
    os.write(write_end, b"still here")
    os.close(write_end)
    os.close(read_end)
    first.close()
    second = init.client()
    given = [second.ask(GIVE_FD, "c", struct.pack("=II", i, 0)) for i in range(3)]
    assert [answer.kind for answer in given] == [FD, FD, END]
    assert [answer.name for answer in given[:2]] == ["stdout", "stdin"]
    assert os.read(given[0].fds[0], 100) == b"still here"
    assert second.ask(DROP_FDS, "c", struct.pack("=24s", b"stdin")).kind == OK
    os.close(given[1].fds[0])
    assert os.read(given[0].fds[0], 100) == b""  # nobody has the other end any more
    assert second.ask(DROP_FDS, "c", bytes(24)).kind == OK
    assert second.ask(GIVE_FD, "c", struct.pack("=II", 0, 0)).kind == END
    assert second.ask(DROP_FDS, "c", bytes(24)).text == "c: no such descriptor is kept"


def test_more_descriptors_than_fit_are_refused(start):
    init = start(nofile=4096)
    client = init.client()
    with open(os.devnull) as null:
        for i in range(2048):
            assert keep(client, "c", f"n{i}", [null.fileno()]).kind == OK
        refused = keep(client, "c", "one more", [null.fileno()])
        assert refused.text == "2048 descriptors are kept, no more fit"
        assert keep(client, "c", "none", []).text == "an id, a name and one descriptor are needed"
    assert client.ask(DROP_FDS, "c", bytes(24)).kind == OK
    fds = os.listdir(f"/proc/{init.process.pid}/fd")
    assert len(fds) < 20
