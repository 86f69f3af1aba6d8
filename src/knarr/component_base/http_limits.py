"""How long and how much an HTTP client may take; seconds and bytes.

They are those of kube-apiserver's server (k8s.io/apiserver/pkg/server, secure_serving.go) where it has some.
"""

from __future__ import annotations

#: A body, and a request's head.
MAX_BODY = 3 * 1024 * 1024
MAX_HEAD = 1024 * 1024
#: Parameters of one query.
MAX_PARAMETERS = 10_000
#: For the TLS handshake.
HANDSHAKE = 20.0
#: From the first byte of a head to its end, from there to the end of the body, between two requests.
HEAD_TIME = 32.0
BODY_TIME = 60.0
IDLE_TIME = 90.0
#: A client that reads less than `HIGH_WATER` bytes in so many seconds while answers wait for it is cut.
SLOW_CLIENT = 60.0
#: Bytes buffered for one connection before writers wait.
HIGH_WATER = 256 * 1024
#: Requests of one connection that wait for the one before them, until no more are read.
MAX_PIPELINED = 64
#: Between two looks at all connections.
SWEEP = 5.0
#: For which a refused client may go on sending, so that it gets to read why.
LINGER = 0.5

#: Bytes read at once.
READ = 64 * 1024
#: Bytes of a body that are written at once: what TLS makes of one piece is sent before the next is encrypted, so
#: that a large answer's ciphertext never lies in memory as a whole.
PIECE = 64 * 1024
