// Tiles hold f16: half the workgroup memory; sums stay f32.
alias scalar = f16;
alias scalar4 = vec4<f16>;
