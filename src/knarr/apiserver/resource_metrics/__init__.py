"""`metrics.k8s.io`: what nodes and pods use, scraped from the kubelets and answered by this server."""
