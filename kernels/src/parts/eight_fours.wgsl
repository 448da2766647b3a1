// Eight values at a time, of a cache that is read in fours.
fn key8(i: u32) -> Eight { return Eight(key4(2u * i), key4(2u * i + 1u)); }
fn value8(i: u32) -> Eight { return Eight(value4(2u * i), value4(2u * i + 1u)); }
