//! `target/lab/sid`: a folder with the newest Debian packages, made by debootstrap, and programs that run in it as though it
//! were the system. They see the checkout, what was built and the models at the places that these have outside. Each has
//! mounts and processes of its own that end with it, so that the folder can be deleted at any time.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::super::{
    system::{is_debian, lantern, on_path, output, program, root, run, shown, succeeds},
    wanted,
};

/// Starts a program in the folder: `sh -c INSIDE sh FOLDER [SHARED …] -- PROGRAM [ARGUMENT …]`.
const INSIDE: &str = include_str!("../../../../lab/inside.sh");

/// Settings of the network that programs inside are to have as well.
const NETWORK: [&str; 6] = [
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
];

/// The folder, with packages installed.
pub struct Sid {
    folder: PathBuf,
    shared: Vec<PathBuf>,
}

/// Whether such a folder can be made and used here; an error says what is needed.
pub fn possible() -> Result<(), String> {
    if !cfg!(target_os = "linux") {
        return Err("only Linux can run the folder with Debian sid".to_owned());
    }
    if output(program("id").arg("-u")).as_deref() != Some("0") {
        return Err("needs root, for debootstrap and chroot".to_owned());
    }
    if !succeeds(isolated().arg("true")) {
        return Err(
            "`unshare --mount --pid` does not work here; a container may need --privileged"
                .to_owned(),
        );
    }
    if !on_path("debootstrap") && !is_debian() {
        return Err("debootstrap is missing: install it, and keys of Debian's archive".to_owned());
    }
    Ok(())
}

/// A command to which is added what it runs, with mounts and processes of its own.
fn isolated() -> Command {
    let mut command = program("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child"]);
    command.args(["--propagation", "private", "--"]);
    command
}

impl Sid {
    /// The folder with these packages, which are installed where they are missing.
    pub fn with(packages: &[&str]) -> Result<Sid, String> {
        let folder = root().join("target/lab/sid");
        if !folder.is_dir() {
            make(&folder)?;
        }
        let mut sid = Sid {
            folder,
            shared: vec![root()],
        };
        sid.install(packages)?;
        let built = env::current_exe().map_err(|error| error.to_string())?;
        sid.shared.extend(built.parent().map(Path::to_path_buf));
        sid.shared.push(models()?);
        Ok(sid)
    }

    fn install(&self, packages: &[&str]) -> Result<(), String> {
        let missing: Vec<&str> = packages
            .iter()
            .copied()
            .filter(|name| self.version(name).is_none())
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let names = missing.join(" ");
        eprintln!(
            "will install in {} with apt-get: {names}",
            self.folder.display()
        );
        let resolver = self.folder.join("etc/resolv.conf");
        fs::copy("/etc/resolv.conf", resolver).map_err(|e| format!("/etc/resolv.conf: {e}"))?;
        let downloads = self.folder.join("etc/apt/apt.conf.d/99outside");
        fs::write(downloads, download_settings()).map_err(|e| format!("99outside: {e}"))?;
        let settings = [("DEBIAN_FRONTEND", "noninteractive")];
        let apt_get = |arguments: &[&str]| {
            self.run(&settings, &[&["apt-get", "-q", "-y"], arguments].concat())
        };
        apt_get(&["update"])?;
        apt_get(&[&["install", "--no-install-recommends"], &missing[..]].concat())
    }

    /// The version of a package that is installed.
    pub fn version(&self, package: &str) -> Option<String> {
        let format = "${db:Status-Status} ${Version}";
        let words = ["dpkg-query", "-W", "-f", format, package];
        let text = output(&mut self.command(&[], &words))?;
        text.strip_prefix("installed ").map(str::to_owned)
    }

    /// Prints the command and runs it inside, all its output on stderr. An error is a sentence.
    pub fn run(
        &self,
        settings: &[(&str, &str)],
        words: &[impl AsRef<OsStr>],
    ) -> Result<(), String> {
        eprintln!("sid$ {}", shown_inside(settings, words));
        let mut command = self.command(settings, words);
        let status = command.stdout(std::io::stderr());
        let status = status
            .status()
            .map_err(|error| format!("unshare: {error}"))?;
        ended(status.success(), settings, words)
    }

    /// Prints the command and runs it inside. What it writes to stdout, which is also printed.
    pub fn read(
        &self,
        settings: &[(&str, &str)],
        words: &[impl AsRef<OsStr>],
    ) -> Result<String, String> {
        eprintln!("sid$ {}", shown_inside(settings, words));
        let mut command = self.command(settings, words);
        let ran = command.stderr(Stdio::inherit()).output();
        let ran = ran.map_err(|error| format!("unshare: {error}"))?;
        let text = String::from_utf8_lossy(&ran.stdout).into_owned();
        eprint!("{text}");
        ended(ran.status.success(), settings, words)?;
        Ok(text)
    }

    /// A command inside, for whoever wants to talk with it.
    pub fn command(&self, settings: &[(&str, &str)], words: &[impl AsRef<OsStr>]) -> Command {
        let mut command = isolated();
        command.args(["sh", "-c", INSIDE, "sh"]).arg(&self.folder);
        command.args(&self.shared).arg("--").args(words);
        command.env_clear().envs(settings.iter().copied());
        for name in NETWORK {
            command.envs(env::var_os(name).map(|value| (name, value)));
        }
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        command.envs([("PATH", path), ("HOME", "/root"), ("LANG", "C.UTF-8")]);
        if let Some(cache) = self.shared.get(2).and_then(|models| models.parent()) {
            command.env("LANTERN_CACHE", cache);
        }
        command.env("XDG_RUNTIME_DIR", "/tmp");
        command
    }
}

/// A command as one would type it inside.
fn shown_inside(settings: &[(&str, &str)], words: &[impl AsRef<OsStr>]) -> String {
    let Some((first, rest)) = words.split_first() else {
        return String::new();
    };
    let mut command = Command::new(first);
    shown(command.args(rest).envs(settings.iter().copied()))
}

fn ended(well: bool, settings: &[(&str, &str)], words: &[impl AsRef<OsStr>]) -> Result<(), String> {
    let failed = || format!("`{}` failed in sid", shown_inside(settings, words));
    well.then_some(()).ok_or_else(failed)
}

/// Makes the folder. One that was not finished is no folder.
fn make(folder: &Path) -> Result<(), String> {
    wanted::install([&wanted::DEBOOTSTRAP])?;
    let (folder, part) = (folder, folder.with_extension("part"));
    eprintln!(
        "will put Debian sid (about 300 MB, without what the steps install) into {}",
        folder.display()
    );
    if part.exists() {
        fs::remove_dir_all(&part).map_err(|error| format!("{}: {error}", part.display()))?;
    }
    fs::create_dir_all(&part).map_err(|error| format!("{}: {error}", part.display()))?;
    let mut command = isolated();
    command.args(["debootstrap", "--variant=minbase", "sid"]);
    run(command.arg(&part).args(mirror()))?;
    fs::rename(&part, folder).map_err(|error| format!("{}: {error}", folder.display()))
}

/// The archive that this machine's Debian comes from; debootstrap knows one for other systems.
fn mirror() -> Option<String> {
    let format = "$(ORIGIN) $(CODENAME) $(REPO_URI)";
    let mut apt_get = program("apt-get");
    apt_get.args(["indextargets", "--format", format, "Created-By: Packages"]);
    let text = output(&mut apt_get)?;
    let of_debian = |line: &str| {
        let (codename, address) = line.strip_prefix("Debian ")?.split_once(' ')?;
        (!codename.contains('-')).then(|| address.to_owned())
    };
    text.lines().find_map(of_debian)
}

/// Settings of this machine's apt-get on downloads: proxies, mirrors that are not the latest.
fn download_settings() -> String {
    let all = output(program("apt-config").arg("dump")).unwrap_or_default();
    let is_of_downloads = |line: &&str| line.starts_with("Acquire::");
    let lines: Vec<&str> = all.lines().filter(is_of_downloads).collect();
    lines.join("\n") + "\n"
}

/// The folder with the default model.
fn models() -> Result<PathBuf, String> {
    let path = output(lantern().args(["fetch", "--quiet"]));
    let path = path
        .as_deref()
        .and_then(|text| text.lines().last())
        .map(PathBuf::from);
    path.as_deref()
        .and_then(Path::parent)
        .map(Path::to_path_buf)
        .ok_or_else(|| "the default model is missing: `cargo verify build model`".to_owned())
}
