"""KMS v2: the messages of its service and of what is stored, as field tables.

https://github.com/kubernetes/kms/blob/master/apis/v2/api.proto
https://github.com/kubernetes/apiserver/blob/master/pkg/storage/value/encrypt/envelope/kmsv2/v2/api.proto
"""

from __future__ import annotations

from knarr.wire.messages import Codec

CODEC = Codec("""
StatusRequest:
StatusResponse: version=1=s healthz=2=s key_id=3=s
Annotation: key=1=s value=2=y
DecryptRequest: ciphertext=1=y uid=2=s key_id=3=s annotations=4=*Annotation
DecryptResponse: plaintext=1=y
EncryptRequest: plaintext=1=y uid=2=s
EncryptResponse: ciphertext=1=y key_id=2=s annotations=3=*Annotation
EncryptedObject: data=1=y key_id=2=s source=3=y annotations=4=*Annotation source_type=5=i
""")
#: `EncryptedObject.source_type`: what the encrypted source is, a key of AES-GCM or the seed of many.
KEY, SEED = 0, 1
