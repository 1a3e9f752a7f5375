"""The platform in containers: images, a compose file for one host, and Kubernetes manifests (docs/containers.md)."""
