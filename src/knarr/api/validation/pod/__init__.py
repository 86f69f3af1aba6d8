"""What a pod and a pod template must be."""
