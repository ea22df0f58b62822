"""What must hold, by where it stands in Envoy's configuration: a module for each part, with its rules and its look."""
