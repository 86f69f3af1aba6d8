"""What ReplicaSets and ReplicationControllers have in common: replicas of a pod template."""
