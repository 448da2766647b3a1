// Eight neighbouring values of a head.
struct Eight { a: vec4f, b: vec4f }
