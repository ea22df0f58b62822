"""What in Envoy's configuration would undo a Check?  Rules over config dumps, bootstraps and Kubernetes manifests."""
