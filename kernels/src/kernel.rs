//! Definition of a kernel: a source with open sockets, parts that may fill them, and variants for different hardware.

use crate::{Call, Case, Cases, tolerance::Tolerance};

/// A compute kernel and everything that is true of it.
pub struct Kernel {
    /// Field's term for the operation; the first word of every label.
    pub name: &'static str,
    /// WGSL with open sockets.
    pub source: &'static str,
    /// Parts that every variant of it uses.
    pub uses: &'static [&'static Part],
    /// Names that the source leaves open and the planner fills, in the order in which labels name them.
    pub sockets: &'static [Socket],
    /// Shapes for different hardware, best first among those that an adapter can run.
    pub variants: &'static [Variant],
    /// The parameter struct's fields and types, as WGSL must declare them; empty where the kernel has none.
    pub params: &'static [(&'static str, &'static str)],
    /// Bindings that it writes.
    pub outputs: &'static [&'static str],
    /// Workgroups for `units` (what that is, the kernel says) and `tokens`.
    pub grid: fn(&Shader, units: u32, tokens: u32) -> [u32; 3],
    /// Reference of the operation on the CPU, in plain loops and f64 sums.
    pub reference: fn(&mut Call),
    /// How far an output, by its name, may be from the reference's in a case and a variant.
    pub tolerance: fn(&Case, &Variant, &str) -> Tolerance,
    /// Shapes that break things, with data; serve tests, benchmarks and the support table.
    pub cases: fn() -> Cases,
}

/// A name that a kernel leaves open, and the parts of which exactly one fills it.
#[derive(Debug, PartialEq, Eq)]
pub struct Socket {
    /// Name of what the parts have in common.
    pub name: &'static str,
    /// The parts that fit.
    pub parts: &'static [&'static Part],
}

/// A piece of plain WGSL. Parts are equal where all of this is.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Part {
    /// Its word in a label; empty where it adds nothing worth naming.
    pub name: &'static str,
    /// WGSL declarations, in any order.
    pub source: &'static str,
    /// Module constants that it is written with.
    pub consts: &'static [(&'static str, u32)],
    /// Parts that it calls.
    pub uses: &'static [&'static Part],
    /// It needs the `shader-f16` feature.
    pub f16: bool,
    /// It needs the `subgroups` feature.
    pub subgroups: bool,
    /// Subgroups must have exactly `WORKGROUP_SIZE` lanes, the workgroup's.
    pub whole_subgroup: bool,
    /// It needs wgpu's experimental cooperative matrices, of this kind.
    pub cooperative: Option<Cooperative>,
}

/// Matrices that the lanes of a subgroup hold and multiply together, summed in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cooperative {
    /// 8 × 8 f32: Metal.
    F32,
    /// 8 × 8 f16: Metal, and lavapipe from Mesa 26 on.
    F16Side8,
    /// 16 × 16 f16: Vulkan on NVIDIA, and on AMD from RDNA 3 on.
    F16,
}

impl Cooperative {
    /// Every kind.
    pub const ALL: [Cooperative; 3] = [Cooperative::F32, Cooperative::F16Side8, Cooperative::F16];

    /// Rows and columns of a matrix.
    pub const fn side(self) -> u32 {
        match self {
            Cooperative::F32 | Cooperative::F16Side8 => 8,
            Cooperative::F16 => 16,
        }
    }

    /// Whether factors are f16.
    pub const fn f16(self) -> bool {
        !matches!(self, Cooperative::F32)
    }
}

impl Part {
    /// A part that runs everywhere.
    pub const fn new(name: &'static str, source: &'static str) -> Part {
        Part {
            name,
            source,
            consts: &[],
            uses: &[],
            f16: false,
            subgroups: false,
            whole_subgroup: false,
            cooperative: None,
        }
    }
}

/// A shape of a kernel for some hardware: the parts and constants that go with it.
#[derive(Debug)]
pub struct Variant {
    /// Its word in a label.
    pub name: &'static str,
    /// Parts for the sockets that hardware decides.
    pub parts: &'static [&'static Part],
    /// Module constants.
    pub consts: &'static [(&'static str, u32)],
    /// Made for adapters that run on the CPU, where lanes are SIMD lanes of one thread.
    pub software: bool,
}

impl Variant {
    /// A variant of these parts and constants.
    pub const fn new(
        name: &'static str,
        parts: &'static [&'static Part],
        consts: &'static [(&'static str, u32)],
        software: bool,
    ) -> Variant {
        Variant {
            name,
            parts,
            consts,
            software,
        }
    }

    /// Matrices that it multiplies by, where it does.
    pub fn cooperative(&self) -> Option<Cooperative> {
        self.parts.iter().find_map(|part| part.cooperative)
    }

    /// The constant `name`.
    pub fn get(&self, name: &str) -> Option<u32> {
        self.consts
            .iter()
            .find(|(n, _)| *n == name)
            .map(|&(_, v)| v)
    }

    /// Lanes that every subgroup must have, where it matters.
    pub fn subgroup_size(&self) -> Option<u32> {
        let whole = self.parts.iter().any(|p| p.whole_subgroup);
        whole.then(|| self.workgroup_size())
    }

    /// Invocations of a workgroup.
    pub fn workgroup_size(&self) -> u32 {
        self.get("WORKGROUP_SIZE").unwrap_or(1)
    }

    /// Bytes of workgroup memory at most; what every adapter has, where the variant does not say that it takes more.
    pub fn workgroup_bytes(&self) -> u32 {
        self.get("WORKGROUP_BYTES").unwrap_or(16 << 10)
    }
}

/// A kernel with every choice made: what can be linked, compiled and dispatched.
#[derive(Clone)]
pub struct Shader {
    /// The kernel.
    pub kernel: &'static Kernel,
    /// Its shape.
    pub variant: &'static Variant,
    /// The parts that fill the kernel's sockets, one each, in their order.
    pub parts: Vec<&'static Part>,
    /// Constants of the model (the head_dim), which also show in the label.
    pub consts: Vec<(&'static str, u32)>,
}

impl Shader {
    /// A shader of `kernel`; every socket must be filled by one of its parts.
    pub fn new(
        kernel: &'static Kernel,
        variant: &'static Variant,
        parts: &[&'static Part],
        consts: &[(&'static str, u32)],
    ) -> Shader {
        let name = kernel.name;
        assert_eq!(
            parts.len(),
            kernel.sockets.len(),
            "{name}: one part for each socket"
        );
        for (part, socket) in parts.iter().zip(kernel.sockets) {
            let fits = socket.parts.contains(part);
            assert!(
                fits,
                "{name}: part {} does not fit socket {}",
                part.name, socket.name
            );
        }
        Shader {
            kernel,
            variant,
            parts: parts.to_vec(),
            consts: consts.to_vec(),
        }
    }

    /// Its name everywhere: kernel, parts, variant and model constants, joined by dots.
    pub fn label(&self) -> String {
        self.named(Some(self.variant.name))
    }

    /// The label without the variant: what variants can stand in for each other in.
    pub fn shape(&self) -> String {
        self.named(None)
    }

    fn named(&self, variant: Option<&str>) -> String {
        let mut words = vec![self.kernel.name.to_string()];
        words.extend(
            self.parts
                .iter()
                .filter(|p| !p.name.is_empty())
                .map(|p| p.name.to_string()),
        );
        words.extend(variant.map(str::to_string));
        words.extend(
            self.consts
                .iter()
                .map(|(name, value)| format!("{}{value}", name.to_lowercase())),
        );
        words.join(".")
    }

    /// A constant of the variant or the model.
    pub fn constant(&self, name: &str) -> u32 {
        let own = self
            .consts
            .iter()
            .find(|(n, _)| *n == name)
            .map(|&(_, v)| v);
        own.or_else(|| self.variant.get(name))
            .unwrap_or_else(|| panic!("{} has no constant {name}", self.label()))
    }

    /// Every part, those of the variant and those that parts use included, each once.
    pub fn all_parts(&self) -> Vec<&'static Part> {
        fn add(part: &'static Part, all: &mut Vec<&'static Part>) {
            if !all.contains(&part) {
                all.push(part);
                part.uses.iter().for_each(|used| add(used, all));
            }
        }
        let mut all = Vec::new();
        let own = self
            .kernel
            .uses
            .iter()
            .chain(self.variant.parts)
            .chain(&self.parts);
        own.for_each(|part| add(part, &mut all));
        all
    }

    /// It needs the `shader-f16` feature.
    pub fn needs_f16(&self) -> bool {
        self.all_parts().iter().any(|p| p.f16)
    }

    /// It needs the `subgroups` feature.
    pub fn needs_subgroups(&self) -> bool {
        self.all_parts().iter().any(|p| p.subgroups)
    }

    /// It needs cooperative matrices: an extension of naga's, which no browser has.
    pub fn needs_cooperative(&self) -> bool {
        self.all_parts().iter().any(|p| p.cooperative.is_some())
    }
}

/// Every shader of `kernel` that can be linked, over all variants and parts, with `consts` for the model.
pub fn combinations(kernel: &'static Kernel, consts: &[(&'static str, u32)]) -> Vec<Shader> {
    let mut choices: Vec<Vec<&'static Part>> = vec![Vec::new()];
    for socket in kernel.sockets {
        choices = choices
            .iter()
            .flat_map(|chosen| {
                socket
                    .parts
                    .iter()
                    .map(move |&part| chosen.iter().copied().chain([part]).collect())
            })
            .collect();
    }
    let shaders = kernel.variants.iter().flat_map(|v| {
        choices
            .iter()
            .map(move |c| Shader::new(kernel, v, c, consts))
    });
    shaders.collect()
}

/// Workgroups `count` as a grid whose sides stay under the 65,535 that every adapter has; kernels count
/// `group.y * groups.x + group.x` and leave what is past the end alone.
pub fn wide_grid(count: u32) -> [u32; 3] {
    const SIDE: u32 = 32768;
    if count <= SIDE {
        [count.max(1), 1, 1]
    } else {
        [SIDE, count.div_ceil(SIDE), 1]
    }
}

/// Variants whose lanes have each a thing of their own, and nothing to do with each other.
pub(crate) static LANES_64: [Variant; 2] = [
    lanes("lanes8", &[("WORKGROUP_SIZE", 8)], true),
    lanes("lanes64", &[("WORKGROUP_SIZE", 64)], false),
];
/// Lanes for kernels that have fewer things to do.
pub(crate) static LANES_32: [Variant; 2] = [
    lanes("lanes8", &[("WORKGROUP_SIZE", 8)], true),
    lanes("lanes32", &[("WORKGROUP_SIZE", 32)], false),
];

const fn lanes(
    name: &'static str,
    consts: &'static [(&'static str, u32)],
    software: bool,
) -> Variant {
    Variant {
        name,
        parts: &[],
        consts,
        software,
    }
}

/// A lane for each unit of each token.
pub(crate) fn lane_grid(shader: &Shader, units: u32, tokens: u32) -> [u32; 3] {
    [units.div_ceil(shader.constant("WORKGROUP_SIZE")), tokens, 1]
}
