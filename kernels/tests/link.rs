//! Every shader that can be linked: naga parses and validates it, its bindings and parameters are what the Rust side
//! says, and it translates to SPIR-V (which spirv-val accepts), MSL and HLSL.

use std::{
    collections::HashSet,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use lantern_kernels::{
    ALL, BindingKind, Kernel, Part, Shader, Target,
    kernel::combinations,
    link::{Linked, SUBGROUP_ARGUMENT, link},
};
use naga::{
    AddressSpace, ScalarKind, StorageAccess, TypeInner,
    back::{hlsl, msl, spv},
    valid::{Capabilities, ModuleInfo, ValidationFlags, Validator},
};

const MATMUL_ROWS: [(&str, u32); 4] = [
    ("X_LENGTH", 64),
    ("TOKENS", 8),
    ("TOP_K", 8),
    ("EXPERTS", 128),
];

/// Constants of attention by heads of keys and of values, and how many of a group a workgroup takes.
const fn attention(
    head_dim: u32,
    value_dim: u32,
    group: u32,
    heads: u32,
) -> [(&'static str, u32); 6] {
    [
        ("HEAD_DIM", head_dim),
        ("VALUE_DIM", value_dim),
        ("GROUP", group),
        ("HEADS", heads),
        ("KV_SPLITS", 4),
        ("BLOCK_CELLS", 32),
    ]
}

/// Constants of attention in tiles.
const TILES: [(&str, u32); 4] = [
    ("HEAD_DIM", 576),
    ("VALUE_DIM", 512),
    ("GROUP", 4),
    ("BLOCK_CELLS", 32),
];

fn shaders(kernel: &'static Kernel) -> Vec<Shader> {
    let consts: &[&[(&str, u32)]] = match kernel.name {
        "rope" => &[
            &[("HEAD_DIM", 64), ("BLOCK_CELLS", 32)],
            &[("HEAD_DIM", 40), ("BLOCK_CELLS", 32)],
            &[("HEAD_DIM", 12), ("BLOCK_CELLS", 32)],
        ],
        "attention" | "attention_positions" | "attention_tokens" => &[
            &attention(64, 64, 3, 3),
            &attention(40, 24, 1, 1),
            &attention(128, 128, 8, 2),
        ],
        "attention_tiles" => &[&TILES],
        "store" => &[&[("BLOCK_CELLS", 32)]],
        "conv" => &[&[("KERNEL_SIZE", 4)], &[("KERNEL_SIZE", 3)]],
        "delta_net" | "delta_net_chunks" | "delta_net_weights" => &[
            &[("KEY_DIM", 128), ("VALUE_DIM", 128)],
            &[("KEY_DIM", 12), ("VALUE_DIM", 37)],
        ],
        "token_shift" => &[&[("RESULTS", 6)], &[("RESULTS", 1)]],
        "wkv7" => &[&[("HEAD_DIM", 64)], &[("HEAD_DIM", 12)]],
        "scan" => &[
            &[("HEAD_DIM", 64), ("STATE_DIM", 128)],
            &[("HEAD_DIM", 37), ("STATE_DIM", 12)],
        ],
        "attention_combine" => &[&[("VALUE_DIM", 64), ("KV_SPLITS", 4)]],
        "matvec" | "matvec_integer" | "quantise" => &[&[("X_LENGTH", 64)]],
        "matmul_rows" => &[&MATMUL_ROWS],
        _ => &[&[]],
    };
    consts
        .iter()
        .flat_map(|consts| combinations(kernel, consts))
        .collect()
}

fn validated(shader: &Shader) -> (naga::Module, ModuleInfo) {
    validated_text(&link(shader, Target::Native))
}

fn validated_text(linked: &Linked) -> (naga::Module, ModuleInfo) {
    let text = linked.text.replace(SUBGROUPS, ""); // naga refuses the line
    let failed = |error: &str| format!("{}: {error}", linked.label);
    let module = naga::front::wgsl::parse_str(&text)
        .unwrap_or_else(|e| panic!("{}", failed(&e.emit_to_string(&text))));
    let info = Validator::new(ValidationFlags::all(), Capabilities::all())
        .validate(&module)
        .unwrap_or_else(|e| panic!("{}", failed(&e.emit_to_string(&text))));
    (module, info)
}

/// Bindings as naga sees them, in the order of their index: index, name, kind.
fn reflected(module: &naga::Module) -> Vec<(u32, String, BindingKind)> {
    let mut found: Vec<_> = module
        .global_variables
        .iter()
        .filter_map(|(_, variable)| {
            let kind = match variable.space {
                AddressSpace::Uniform => BindingKind::Uniform,
                AddressSpace::Storage { access } if access.contains(StorageAccess::STORE) => {
                    BindingKind::Write
                }
                AddressSpace::Storage { .. } => BindingKind::Read,
                AddressSpace::Handle => {
                    let other = &module.types[variable.ty].inner;
                    panic!("{other:?} is nothing that a kernel may bind")
                }
                _ => return None,
            };
            Some((
                variable.binding.as_ref()?.binding,
                variable.name.clone()?,
                kind,
            ))
        })
        .collect();
    found.sort_by_key(|(index, ..)| *index);
    found
}

fn check_params(module: &naga::Module, kernel: &Kernel) {
    let uniform = module
        .global_variables
        .iter()
        .find(|(_, v)| v.name.as_deref() == Some("params"));
    let fields: Vec<(String, &str)> = uniform.map_or_else(Vec::new, |(_, variable)| {
        let TypeInner::Struct { members, .. } = &module.types[variable.ty].inner else {
            panic!("{}: parameters are no struct", kernel.name)
        };
        let kind = |ty| match module.types[ty].inner {
            TypeInner::Scalar(s) if s.width == 4 && s.kind == ScalarKind::Uint => "u32",
            TypeInner::Scalar(s) if s.width == 4 && s.kind == ScalarKind::Float => "f32",
            _ => panic!("{}: parameters must be scalars of 4 bytes", kernel.name),
        };
        members
            .iter()
            .map(|m| (m.name.clone().unwrap(), kind(m.ty)))
            .collect()
    });
    let wanted: Vec<(String, &str)> = kernel
        .params
        .iter()
        .map(|&(n, t)| (n.to_string(), t))
        .collect();
    assert_eq!(
        fields, wanted,
        "{}: WGSL (left) and Rust (right) disagree on the parameters",
        kernel.name
    );
}

#[test]
fn every_shader_is_valid_and_says_what_it_binds() {
    for kernel in ALL {
        for shader in shaders(kernel) {
            check_bindings(kernel, &link(&shader, Target::Native));
        }
    }
}

/// Bindings, parameters and outputs are what naga sees in the text.
fn check_bindings(kernel: &Kernel, linked: &Linked) {
    let (module, _) = validated_text(linked);
    let scanned: Vec<_> = linked
        .bindings
        .iter()
        .map(|b| (b.index, b.name.clone(), b.kind))
        .collect();
    assert_eq!(scanned, reflected(&module), "{}", linked.label);
    let storage = linked
        .bindings
        .iter()
        .filter(|b| matches!(b.kind, BindingKind::Read | BindingKind::Write))
        .count();
    assert!(
        storage <= 8,
        "{}: {storage} storage buffers; 8 are all that every adapter has",
        linked.label
    );
    let written: Vec<&str> = linked
        .bindings
        .iter()
        .filter(|b| b.kind == BindingKind::Write)
        .map(|b| b.name.as_str())
        .collect();
    let undeclared = kernel.outputs.iter().find(|o| !written.contains(o));
    assert!(
        undeclared.is_none(),
        "{}: output {undeclared:?} is not writable",
        linked.label
    );
    check_params(&module, kernel);
}

#[test]
fn labels_are_unique_and_every_kernel_opens_with_its_name() {
    let mut labels: Vec<String> = ALL
        .iter()
        .flat_map(|k| shaders(k))
        .map(|s| s.label())
        .collect();
    let count = labels.len();
    labels.sort();
    labels.dedup();
    assert_eq!(labels.len(), count);
    for kernel in ALL {
        let start = format!("// {}: ", kernel.name);
        assert!(
            kernel.source.starts_with(&start),
            "{}.wgsl must start with {start:?}",
            kernel.name
        );
    }
}

/// Tint, as Dawn 2026-11 has it, gives a variable of a loop that has no value of its own the one of the last turn.
#[test]
fn every_variable_of_a_function_is_given_a_value() {
    for kernel in ALL {
        for shader in shaders(kernel) {
            let linked = link(&shader, Target::Native);
            for (number, line) in linked.text.lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                let declares = code.starts_with(char::is_whitespace) && code.contains(" var ");
                let place = linked.origin(number + 1);
                assert!(!declares || code.contains('='), "{place}: {line}");
            }
        }
    }
}

/// Line that only a browser's text has.
const SUBGROUPS: &str = "enable subgroups;\n";

#[test]
fn the_browser_text_differs_in_a_line_and_an_argument() {
    for kernel in ALL {
        for shader in shaders(kernel) {
            let (native, browser) = (
                link(&shader, Target::Native),
                link(&shader, Target::Browser),
            );
            let without = native.text.replace(SUBGROUP_ARGUMENT, "");
            assert_eq!(browser.text.replace(SUBGROUPS, ""), without);
            assert_eq!(browser.text.contains(SUBGROUPS), shader.needs_subgroups());
        }
    }
}

/// Tint is the compiler of Chrome and Edge; npm's `webgpu` brings it.
#[test]
fn tint_takes_every_shader() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/browser");
    if !folder.join("node_modules/webgpu").is_dir() {
        let reason = "tests/browser/node_modules is missing: `cargo verify install` brings it";
        assert!(std::env::var_os("CI").is_none(), "{reason}");
        eprintln!("left out: {reason}");
        return;
    }
    // Cooperative matrices are an extension of naga's: Tint has others, and browsers none yet.
    let all = ALL.iter().flat_map(|kernel| shaders(kernel));
    let all = all.filter(|shader| !shader.needs_cooperative());
    let texts: Vec<(String, String)> = all
        .map(|shader| (shader.label(), link(&shader, Target::Browser).text))
        .collect();
    let mut node = Command::new("node");
    node.arg("support/tint.mjs").current_dir(folder);
    let said = answer(&mut node, &serde_json::to_vec(&texts).unwrap());
    assert_eq!(said, format!("{} shaders", texts.len()));
}

/// DXC is the compiler of Direct3D 12; `cargo verify --lab dxc` brings it, and names it in `LANTERN_DXC`. It sees every part of
/// a variant, not each with each.
#[test]
fn dxc_takes_every_shader() {
    let Some(library) = std::env::var_os("LANTERN_DXC") else {
        eprintln!("left out: LANTERN_DXC names no libdxcompiler");
        return;
    };
    // The least that has f16, and what DXC 3.7 knows at most.
    let models = [
        ("cs_6_2", hlsl::ShaderModel::V6_2),
        ("cs_6_7", hlsl::ShaderModel::V6_7),
    ];
    let mut texts: Vec<(String, &str, String)> = Vec::new();
    let mut seen = HashSet::new();
    for shader in ALL.iter().flat_map(|kernel| shaders(kernel)) {
        if shader.needs_cooperative() || !has_new_part(&shader, &mut seen) {
            continue;
        }
        let [old, new] = models.map(|(profile, model)| (profile, to_hlsl(&shader, model)));
        let differs = new.1 != old.1;
        for (profile, text) in [Some(old), differs.then_some(new)].into_iter().flatten() {
            texts.push((shader.label(), profile, text));
        }
    }
    let mut python = Command::new("python3");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/lab/dxc.py");
    let input = serde_json::to_vec(&texts).unwrap();
    let said = answer(python.arg(script).arg(library), &input);
    println!("DXC: {said}");
    assert_eq!(said, format!("{} shaders", texts.len()));
}

/// Output of a program that reads JSON; it must succeed.
fn answer(command: &mut Command, input: &[u8]) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    said.trim().to_owned()
}

fn to_hlsl(shader: &Shader, shader_model: hlsl::ShaderModel) -> String {
    let (module, info) = validated(shader);
    let options = hlsl::Options {
        shader_model,
        special_constants_binding: Some(hlsl::BindTarget::default()), // with how many workgroups there are
        ..hlsl::Options::default()
    };
    let mut text = String::new();
    hlsl::Writer::new(&mut text, &options, &hlsl::PipelineOptions::default())
        .write(&module, &info, None)
        .unwrap_or_else(|e| panic!("{}: HLSL: {e}", shader.label()));
    text
}

/// spirv-val is a process for each shader: it sees every part of a variant, not each with each.
#[test]
fn every_shader_translates_to_spirv_msl_and_hlsl() {
    let spirv_val = Command::new("spirv-val").arg("--version").output().is_ok();
    assert!(
        spirv_val || std::env::var_os("CI").is_none(),
        "spirv-val is missing: apt-get install spirv-tools"
    );
    if !spirv_val {
        eprintln!("left out: spirv-val is not installed");
    }
    let mut seen = HashSet::new();
    for kernel in ALL {
        for shader in shaders(kernel) {
            let label = shader.label();
            let new = has_new_part(&shader, &mut seen);
            let (module, info) = validated(&shader);
            let options = spv::Options {
                lang_version: (1, 3),
                ..spv::Options::default()
            };
            let words = spv::write_vec(&module, &info, &options, None)
                .unwrap_or_else(|e| panic!("{label}: {e}"));
            if spirv_val && new {
                validate_spirv(&label, &words);
            }
            let msl_options = msl::Options {
                lang_version: (2, 4),
                ..msl::Options::default()
            };
            msl::write_string(
                &module,
                &info,
                &msl_options,
                &msl::PipelineOptions::default(),
            )
            .unwrap_or_else(|e| panic!("{label}: MSL: {e}"));
            if shader.needs_cooperative() {
                continue; // naga writes them in SPIR-V and MSL alone
            }
            to_hlsl(&shader, hlsl::ShaderModel::V6_2);
        }
    }
}

/// Tells whether a shader has no parts, or one that was not seen with its variant.
fn has_new_part(shader: &Shader, seen: &mut HashSet<(String, &'static Part)>) -> bool {
    let of = format!("{}.{}", shader.kernel.name, shader.variant.name);
    let parts = shader.parts.iter();
    let new = parts.filter(|&&part| seen.insert((of.clone(), part)));
    new.count() > 0 || shader.parts.is_empty()
}

fn validate_spirv(label: &str, words: &[u32]) {
    let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    let mut child = Command::new("spirv-val")
        .args(["--target-env", "vulkan1.1", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("Invalid capability operand: 6022") {
        eprintln!("left out: this spirv-val is too old for the cooperative matrices of {label}");
        return;
    }
    assert!(output.status.success(), "{label}: spirv-val: {said}");
}
