"""The messages of etcd's v3 API that the driver needs, as field tables with the numbers of the published protos.

https://github.com/etcd-io/etcd/blob/main/api/etcdserverpb/rpc.proto
"""

from __future__ import annotations

from enum import IntEnum

from knarr.wire.messages import Codec

_TABLE = """
ResponseHeader: cluster_id=1=i member_id=2=i revision=3=i raft_term=4=i
KeyValue: key=1=y create_revision=2=i mod_revision=3=i version=4=i value=5=y lease=6=i
RangeRequest: key=1=y range_end=2=y limit=3=i revision=4=i keys_only=8=b count_only=9=b
RangeResponse: header=1=ResponseHeader kvs=2=*KeyValue more=3=b count=4=i
PutRequest: key=1=y value=2=y lease=3=i
PutResponse: header=1=ResponseHeader
DeleteRangeRequest: key=1=y range_end=2=y
DeleteRangeResponse: header=1=ResponseHeader deleted=2=i
RequestOp: request_range=1=RangeRequest request_put=2=PutRequest request_delete_range=3=DeleteRangeRequest
ResponseOp: response_range=1=RangeResponse response_put=2=PutResponse response_delete_range=3=DeleteRangeResponse
Compare: result=1=i target=2=i key=3=y version=4=i create_revision=5=i mod_revision=6=i
TxnRequest: compare=1=*Compare success=2=*RequestOp failure=3=*RequestOp
TxnResponse: header=1=ResponseHeader succeeded=2=b responses=3=*ResponseOp
CompactionRequest: revision=1=i physical=2=b
CompactionResponse: header=1=ResponseHeader
WatchCreateRequest: key=1=y range_end=2=y start_revision=3=i progress_notify=4=b prev_kv=6=b
WatchRequest: create_request=1=WatchCreateRequest
WatchResponse: header=1=ResponseHeader watch_id=2=i created=3=b canceled=4=b compact_revision=5=i cancel_reason=6=s \
events=11=*Event
Event: type=1=i kv=2=KeyValue prev_kv=3=KeyValue
LeaseGrantRequest: ttl=1=i
LeaseGrantResponse: header=1=ResponseHeader id=2=i ttl=3=i error=4=s
"""

CODEC = Codec(_TABLE)


class Target(IntEnum):
    """`Compare.CompareTarget`: what of a key is compared. The comparison itself is always 0, equal."""

    VERSION = 0
    MOD = 2


#: `Event.EventType` of a deletion; a put is 0.
DELETE = 1
