// Tiles hold f32.
alias scalar = f32;
alias scalar4 = vec4<f32>;
