// RMSNorm's weight in a storage buffer.
@group(0) @binding(6) var<storage, read> norm_weight: array<Group, X_LENGTH / 8u>; // (padded cols / 32)
