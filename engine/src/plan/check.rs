//! Runs plans on the twins.
