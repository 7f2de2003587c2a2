"""What each fault must lead to. The contract, as data: one line a fault, one column a request kind.

A cell is a sign, the attempts, and how often the server read the request completely:

    =2:1   the request's own answer, at the second attempt; the server read it once
    !3:0   an error after three attempts; the server read nothing, and nothing is left unknown
    ?1:1   an error that says "outcome unknown"; the server did read it

The error of the line's cells stands at its end. Every request that was read had its whole body.
POST has no key, KEYED is a POST with one, STREAM a PUT whose body can't be wound back.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from tests.faults.kinds import KINDS

_TABLE: Final = """
                                    GET   PUT   DELETE POST  KEYED STREAM
name unknown, always                !3:0  !3:0  !3:0  !3:0  !3:0  !3:0  ConnectError
name server fails                   =2:1  =2:1  =2:1  =2:1  =2:1  =2:1
resolution stalls                   =2:1  =2:1  =2:1  =2:1  =2:1  =2:1
resolution stalls, always           !3:0  !3:0  !3:0  !3:0  !3:0  !3:0  ConnectTimeout
first address refuses               =1:1  =1:1  =1:1  =1:1  =1:1  =1:1
first two addresses dead            =1:1  =1:1  =1:1  =1:1  =1:1  =1:1
six addresses dead, always          !1:0  !1:0  !1:0  !1:0  !1:0  !1:0  DeadlineExceeded

refused, always                     !3:0  !3:0  !3:0  !3:0  !3:0  !3:0  ConnectError
refused                             =2:1  =2:1  =2:1  =2:1  =2:1  =2:1
blackholed, always                  !3:0  !3:0  !3:0  !3:0  !3:0  !3:0  ConnectTimeout
blackholed                          =2:1  =2:1  =2:1  =2:1  =2:1  =2:1
reset at the first byte             =2:1  =2:1  =2:1  ?1:0  =2:1  ?1:0  ProtocolError
reset after the head                =2:1  =2:1  =2:1  ?1:0  =2:1  ?1:0  ProtocolError
reset after the request             =2:2  =2:2  =2:2  ?1:1  =2:2  ?1:1  ProtocolError
reset after the request, always     !3:3  ?3:3  ?3:3  ?1:1  ?3:3  ?1:1  ProtocolError
reset in the answer's head          =2:2  =2:2  =2:2  ?1:1  =2:2  ?1:1  ProtocolError
reset in the answer's body          =2:2  =2:2  =2:2  ?1:1  =2:2  ?1:1  ProtocolError
closed after the request            =2:2  =2:2  =2:2  ?1:1  =2:2  ?1:1  ProtocolError
restart mid-flight                  =2:2  =2:2  =2:2  ?1:1  =2:2  ?1:1  ProtocolError

certificate expired                 !1:0  !1:0  !1:0  !1:0  !1:0  !1:0  CertificateError
certificate of another name         !1:0  !1:0  !1:0  !1:0  !1:0  !1:0  CertificateError
authority unknown                   !1:0  !1:0  !1:0  !1:0  !1:0  !1:0  CertificateError
client certificate missing          !1:0  !1:0  !1:0  !1:0  !1:0  !1:0  CertificateError
plain HTTP on the TLS port          !3:0  !3:0  !3:0  !3:0  !3:0  !3:0  TLSError
TLS on the plain port               !3:0  ?3:0  ?3:0  ?1:0  ?3:0  ?1:0  ProtocolError
handshake stalls                    =2:1  =2:1  =2:1  =2:1  =2:1  =2:1
handshake stalls, always            !3:0  !3:0  !3:0  !3:0  !3:0  !3:0  ConnectTimeout
handshake trickles, always          !1:0  !1:0  !1:0  !1:0  !1:0  !1:0  DeadlineExceeded
handshake closed                    =2:1  =2:1  =2:1  =2:1  =2:1  =2:1
handshake reset                     =2:1  =2:1  =2:1  =2:1  =2:1  =2:1
reset after the request, TLS        =2:2  =2:2  =2:2  ?1:1  =2:2  ?1:1  ProtocolError
answer cut off, TLS                 =2:2  =2:2  =2:2  ?1:1  =2:2  ?1:1  ProtocolError

proxy refuses connections, always   !3:0  !3:0  !3:0  !3:0  !3:0  !3:0  ProxyError
CONNECT refused                     =2:1  =2:1  =2:1  =2:1  =2:1  =2:1
CONNECT unauthorised, always        !1:0  !1:0  !1:0  !1:0  !1:0  !1:0  ProxyError
CONNECT stalls                      =2:1  =2:1  =2:1  =2:1  =2:1  =2:1
CONNECT trickles, always            !1:0  !1:0  !1:0  !1:0  !1:0  !1:0  DeadlineExceeded
CONNECT reset                       =2:1  =2:1  =2:1  =2:1  =2:1  =2:1
CONNECT answered with garbage       =2:1  =2:1  =2:1  =2:1  =2:1  =2:1
tunnel collapses                    =2:1  =2:1  =2:1  =2:1  =2:1  =2:1

garbage for a status line           =2:2  =2:2  =2:2  ?1:1  =2:2  ?1:1  ProtocolError
another protocol                    =2:2  =2:2  =2:2  ?1:1  =2:2  ?1:1  ProtocolError
HTTP/2 for an answer                =2:2  =2:2  =2:2  ?1:1  =2:2  ?1:1  ProtocolError
status that is no number            =2:2  =2:2  =2:2  ?1:1  =2:2  ?1:1  ProtocolError
no final line break, closed         =2:2  =2:2  =2:2  ?1:1  =2:2  ?1:1  ProtocolError
no final line break, silence        =2:2  =2:2  =2:2  ?1:1  =2:2  ?1:1  ReadTimeout
300 headers                         !1:1  ?1:1  ?1:1  ?1:1  ?1:1  ?1:1  ResponseTooLarge
header of 1 MiB                     !1:1  ?1:1  ?1:1  ?1:1  ?1:1  ?1:1  ResponseTooLarge
headers without end                 !1:1  ?1:1  ?1:1  ?1:1  ?1:1  ?1:1  ResponseTooLarge
header that hides the length        =2:2  =2:2  =2:2  ?1:1  =2:2  ?1:1  ProtocolError
100 unasked for                     =1:1  =1:1  =1:1  =1:1  =1:1  =1:1
102 unasked for                     =1:1  =1:1  =1:1  =1:1  =1:1  =1:1
103 unasked for                     =1:1  =1:1  =1:1  =1:1  =1:1  =1:1
16 interim answers                  =1:1  =1:1  =1:1  =1:1  =1:1  =1:1
17 interim answers                  =2:2  =2:2  =2:2  ?1:1  =2:2  ?1:1  ProtocolError

body shorter than its length        =2:2  =2:2  =2:2  ?1:1  =2:2  ?1:1  ProtocolError
body longer than its length         =1:1  =1:1  =1:1  =1:1  =1:1  =1:1
second answer smuggled in           =1:1  =1:1  =1:1  =1:1  =1:1  =1:1
two lengths                         =2:2  =2:2  =2:2  ?1:1  =2:2  ?1:1  ProtocolError
length that is no number            =2:2  =2:2  =2:2  ?1:1  =2:2  ?1:1  ProtocolError
negative length                     =2:2  =2:2  =2:2  ?1:1  =2:2  ?1:1  ProtocolError
length beside chunks                =1:1  =1:1  =1:1  =1:1  =1:1  =1:1
chunk size that is no number        =2:2  =2:2  =2:2  ?1:1  =2:2  ?1:1  ProtocolError
chunk shorter than its size         =2:2  =2:2  =2:2  ?1:1  =2:2  ?1:1  ProtocolError
chunk longer than its size          =2:2  =2:2  =2:2  ?1:1  =2:2  ?1:1  ProtocolError
last chunk missing, closed          =2:2  =2:2  =2:2  ?1:1  =2:2  ?1:1  ProtocolError
last chunk missing, silence         =2:2  =2:2  =2:2  ?1:1  =2:2  ?1:1  ReadTimeout
gzip cut short                      =2:2  =2:2  =2:2  ?1:1  =2:2  ?1:1  ProtocolError
gzip that is none                   =2:2  =2:2  =2:2  ?1:1  =2:2  ?1:1  ProtocolError
gzip bomb                           !1:1  !1:1  !1:1  !1:1  !1:1  !1:1  ResponseTooLarge
body of 8 MiB                       !1:1  !1:1  !1:1  !1:1  !1:1  !1:1  ResponseTooLarge
close-delimited body                =1:1  =1:1  =1:1  =1:1  =1:1  =1:1
close-delimited body, reset         =2:2  =2:2  =2:2  ?1:1  =2:2  ?1:1  ProtocolError

silence                             =2:2  =2:2  =2:2  ?1:1  =2:2  ?1:1  ReadTimeout
silence, always                     !3:3  ?3:3  ?3:3  ?1:1  ?3:3  ?1:1  ReadTimeout
silence in the body                 =2:2  =2:2  =2:2  ?1:1  =2:2  ?1:1  ReadTimeout
head trickles, always               !1:1  ?1:1  ?1:1  ?1:1  ?1:1  ?1:1  DeadlineExceeded
body trickles, always               !1:1  ?1:1  ?1:1  ?1:1  ?1:1  ?1:1  DeadlineExceeded
chunks trickle, always              !1:1  ?1:1  ?1:1  ?1:1  ?1:1  ?1:1  DeadlineExceeded
interim answers trickle, always     !1:1  ?1:1  ?1:1  ?1:1  ?1:1  ?1:1  DeadlineExceeded
upload read slowly, always          !1:0  ?1:0  ?1:0  ?1:0  ?1:0  ?1:0  DeadlineExceeded

408                                 =2:2  =2:2  =2:2  !1:1  =2:2  !1:1  HTTPRequestTimeout
425                                 !1:1  !1:1  !1:1  !1:1  !1:1  !1:1  HTTPTooEarly
429                                 =2:2  =2:2  =2:2  !1:1  =2:2  !1:1  HTTPTooManyRequests
429, Retry-After 1                  =2:2  =2:2  =2:2  !1:1  =2:2  !1:1  HTTPTooManyRequests
429, Retry-After absurd             !1:1  !1:1  !1:1  !1:1  !1:1  !1:1  HTTPTooManyRequests
429, Retry-After a minute           !1:1  !1:1  !1:1  !1:1  !1:1  !1:1  HTTPTooManyRequests
500                                 =2:2  =2:2  =2:2  !1:1  =2:2  !1:1  HTTPInternalServerError
502                                 =2:2  =2:2  =2:2  !1:1  =2:2  !1:1  HTTPBadGateway
503                                 =2:2  =2:2  =2:2  !1:1  =2:2  !1:1  HTTPServiceUnavailable
503, always                         !3:3  !3:3  !3:3  !1:1  !3:3  !1:1  HTTPServiceUnavailable
503, Retry-After 1                  =2:2  =2:2  =2:2  !1:1  =2:2  !1:1  HTTPServiceUnavailable
503, Retry-After past               =2:2  =2:2  =2:2  !1:1  =2:2  !1:1  HTTPServiceUnavailable
503, Retry-After negative           =2:2  =2:2  =2:2  !1:1  =2:2  !1:1  HTTPServiceUnavailable
503, Retry-After garbage            =2:2  =2:2  =2:2  !1:1  =2:2  !1:1  HTTPServiceUnavailable
504                                 =2:2  =2:2  =2:2  !1:1  =2:2  !1:1  HTTPGatewayTimeout
413 before the body                 !1:0  !1:0  !1:0  !1:0  !1:0  !1:0  HTTPRequestEntityTooLarge
413 to a large upload, closed       !1:0  !1:0  !1:0  !1:0  !1:0  !1:0  HTTPRequestEntityTooLarge
413 to a large upload, unread       !1:0  !1:0  !1:0  !1:0  !1:0  !1:0  HTTPRequestEntityTooLarge

closed while idle                   =1:1  =1:1  =1:1  =1:1  =1:1  =1:1
closed as we send                   =2:1  =2:1  =2:1  ?1:0  =2:1  ?1:0  ProtocolError
dropped in silence while idle       =2:1  =2:1  =2:1  ?1:0  =2:1  ?1:0  ReadTimeout
restarted while idle                =1:1  =1:1  =1:1  =1:1  =1:1  =1:1
stray bytes while idle              =1:1  =1:1  =1:1  =1:1  =1:1  =1:1
408 while idle                      =1:1  =1:1  =1:1  =1:1  =1:1  =1:1
another's answer while idle         =1:1  =1:1  =1:1  =1:1  =1:1  =1:1
"""


class Cell(NamedTuple):
    """What one kind of request must come to under one fault."""

    cell: str
    error: str
    """The class of the error, or nothing."""


_CELL: Final = re.compile(r"[=!?]\d:\d")


def _parsed(line: str) -> tuple[str, dict[str, Cell]]:
    name, cells = line[:36].strip(), line[36:].split()
    error = cells.pop() if len(cells) > len(KINDS) else ""
    row = {
        kind.name: Cell(cell, "" if cell.startswith("=") else error)
        for kind, cell in zip(KINDS, cells, strict=True)
    }
    if not all(_CELL.fullmatch(cell) for cell in cells):
        message = f"not understood: {line}"
        raise ValueError(message)
    if any(cell.error for cell in row.values()) != bool(error):
        message = f"an error is missing, or none of the cells is one: {line}"
        raise ValueError(message)
    return name, row


def _rows() -> dict[str, dict[str, Cell]]:
    head, *lines = [line for line in _TABLE.splitlines() if line.strip()]
    if head.split() != [kind.name for kind in KINDS]:
        message = f"the columns are other ones: {head}"
        raise ValueError(message)
    rows = dict(map(_parsed, lines))
    if len(rows) != len(lines):
        message = "a fault stands there twice"
        raise ValueError(message)
    return rows


ROWS: Final = _rows()
"""By the fault's name, then by the kind's."""
