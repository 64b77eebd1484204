//! Starting, watching, replacing and stopping instances.
