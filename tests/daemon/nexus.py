#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Sessions for tests of the command line: logs in, does what standard input says, a line each, and
answers each with a line. At the end of its input it goes away without logging out.

    nexus.py PORT
    open TARGET INITIATOR N         N sessions (ISIDs 1..N of that initiator); their numbers go on
    register S LUN KEY              PERSISTENT RESERVE OUT by session number S: the SCSI status
    reserve S LUN KEY TYPE
    preempt S LUN KEY OTHER         PREEMPT AND ABORT
    storm S LUN N KEY               registers so often, with keys KEY, KEY + 1, ...; the last key
                                    that was answered
    write S LUN BYTES               one block of zeroes
    sync S LUN                      SYNCHRONIZE CACHE(10)
    reserve6 S LUN                  RESERVE(6)
    ... &                           do not wait for the answer
"""
import socket
import struct
import sys

sessions = []


class Session:
    def __init__(self, port, target, initiator, isid):
        self.s = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.cmdsn = self.itt = 1
        text = "".join(f"{k}={v}\0" for k, v in (
            ("InitiatorName", initiator), ("SessionType", "Normal"), ("TargetName", target),
            ("InitiatorAlias", "test \u00e4\x1b[31m"))).encode()
        # Login, immediate; T=1, operational negotiation to full feature phase (RFC 7143 11.12).
        bhs = struct.pack(">BBBBI6sHIHHII16x", 0x43, 0x87, 0, 0, len(text),
                          b"\x80\0" + struct.pack(">I", isid), 0, 0, 0, 0, self.cmdsn, 0)
        self.s.sendall(bhs + text + b"\0" * (-len(text) % 4))
        rsp, _ = self.receive()
        if rsp[0] != 0x23 or rsp[36]:
            raise SystemExit(f"login failed: {rsp.hex()}")
        self.statsn = struct.unpack_from(">I", rsp, 24)[0] + 1

    def exactly(self, n):
        b = b""
        while len(b) < n:
            got = self.s.recv(n - len(b))
            if not got:
                raise SystemExit("the target closed the connection")
            b += got
        return b

    def receive(self):
        bhs = self.exactly(48)
        n = int.from_bytes(bhs[5:8], "big")
        return bhs, self.exactly(n + -n % 4)[:n]

    def send(self, lun, cdb, data):
        # A write with all its data immediate (11.3); F, W, SIMPLE.
        flags = 0x81 | (0x20 if data else 0)
        bhs = struct.pack(">BBxxI8sIIII16s", 0x01, flags, len(data),
                          struct.pack(">H6x", lun), self.itt, len(data), self.cmdsn, self.statsn,
                          cdb.ljust(16, b"\0"))
        self.itt += 1
        self.cmdsn += 1
        self.s.sendall(bhs + data)

    def status(self):
        while True:
            bhs, _ = self.receive()
            if bhs[0] == 0x21:
                self.statsn = struct.unpack_from(">I", bhs, 24)[0] + 1
                return bhs[3]


def pr_out(action, kind, key, sa_key):
    cdb = struct.pack(">BBBxxIx", 0x5f, action, kind, 24)
    return cdb, struct.pack(">QQ8x", int(key, 0), int(sa_key, 0))


COMMANDS = {
    "register": lambda key: pr_out(6, 0, "0", key),
    "reserve": lambda key, kind: pr_out(1, int(kind), key, "0"),
    "preempt": lambda key, other: pr_out(5, 5, key, other),
    "write": lambda size: (struct.pack(">BBIBHB", 0x2a, 0, 0, 0, 1, 0), bytes(int(size))),
    "sync": lambda: (struct.pack(">B9x", 0x35), b""),
    "reserve6": lambda: (struct.pack(">B5x", 0x16), b""),
}


def storm(session, lun, n, key):
    """The target may be killed in the middle."""
    done = 0
    try:
        for k in range(key, key + n):
            session.send(lun, *pr_out(6, 0, "0", hex(k)))
            if session.status() == 0:
                done = k
    except (SystemExit, OSError):
        pass
    return f"done {done}"


def run(port, words):
    wait = words[-1] != "&"
    if not wait:
        words = words[:-1]
    if words[0] == "open":
        target, initiator, n = words[1:]
        for i in range(int(n)):
            sessions.append(Session(port, target, initiator, i + 1))
        return f"open {len(sessions)}"
    session = sessions[int(words[1])]
    if words[0] == "storm":
        return storm(session, int(words[2]), int(words[3]), int(words[4]))
    session.send(int(words[2]), *COMMANDS[words[0]](*words[3:]))
    return f"status {session.status():02x}" if wait else "sent"


def main():
    for line in sys.stdin:
        print(run(int(sys.argv[1]), line.split()), flush=True)


main()
