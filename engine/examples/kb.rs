use lantern_engine::*;
use lantern_kernels::{call::*, formats::FORMAT, random::Random, *};
fn main() {
    let mut o = EngineOptions::default();
    o.adapter = std::env::var("A").ok();
    let e = pollster::block_on(Engine::new(&o)).unwrap();
    let args: Vec<String> = std::env::args().collect();
    let (rows, cols, tokens): (u32, u32, u32) = (
        args[2].parse().unwrap(),
        args[3].parse().unwrap(),
        args[4].parse().unwrap(),
    );
    let mut r = Random::new(1);
    let f = FORMATS.iter().find(|f| f.name == args[5]).unwrap();
    let k = ALL.iter().find(|k| k.name == args[1]).unwrap();
    let part = FORMAT.parts.iter().find(|p| p.name == if std::env::var("T").is_ok() { format!("{}.texture", f.name) } else { f.name.into() }).unwrap();
    let (parts, params): (Vec<&'static Part>, Vec<u8>) = if k.name == "matmul" {
        (
            vec![
                part,
                &lantern_kernels::parts::FINISH_STORE,
                &lantern_kernels::parts::SCALAR_F32,
            ],
            bytes_of_params(&matmul::Params {
                rows,
                cols,
                y_start: 0,
                y_stride: padded(rows),
            }),
        )
    } else if k.name == "matmul_rows" {
        (
            vec![part, &lantern_kernels::parts::FINISH_STORE],
            bytes_of_params(&matmul_rows::Params {
                rows,
                cols,
                y_start: 0,
                y_stride: padded(rows),
                token_start: 0,
            }),
        )
    } else {
        (
            vec![
                part,
                &lantern_kernels::parts::INPUT_PLAIN,
                &lantern_kernels::parts::X_UNIFORM,
                &lantern_kernels::parts::FINISH_STORE,
            ],
            bytes_of_params(&matvec::Params {
                rows,
                cols,
                y_start: 0,
                eps: 0.0,
            }),
        )
    };
    let case = Case {
        name: "b".into(),
        parts,
        consts: vec![("X_LENGTH", padded(cols) / 4 * tokens)],
        params,
        units: rows,
        tokens,
        buffers: vec![
            ("x", activations(&mut r, tokens, cols)),
            ("y", activations(&mut r, tokens, rows)),
            ("state", state(0, tokens)),
        ],
        weights: Some(CaseWeights::random(f, rows, cols, &mut r)),
    };
    for v in k
        .variants
        .iter()
        .filter(|v| e.runs(v) && args.get(6).is_none_or(|n| n == v.name))
    {
        let t = std::time::Instant::now();
        let seconds = pollster::block_on(e.time_case(
            k,
            v,
            &case,
            std::env::var("N").map_or(20, |n| n.parse().unwrap()),
        ))
        .unwrap();
        println!(
            "{} {:.2} s all; {:.3} ms, {:.2} GFLOP/s, {:.2} GB/s",
            v.name,
            t.elapsed().as_secs_f64(),
            seconds * 1e3,
            2.0 * f64::from(rows) * f64::from(cols) * f64::from(tokens) / seconds / 1e9,
            f.row_bytes(cols) as f64 * f64::from(rows) / seconds / 1e9
        );
    }
}
