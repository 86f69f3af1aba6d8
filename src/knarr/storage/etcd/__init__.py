"""The driver for etcd's v3 API: `store` implements the protocol over `client`'s calls."""
