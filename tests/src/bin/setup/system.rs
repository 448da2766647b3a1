//! The system underneath: where the checkout is, what is on the PATH, and how to run a program and say so.

use std::{
    env,
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The root of the checkout, whatever directory the command was typed in.
pub fn root() -> PathBuf {
    let tests =
        env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&tests)
        .parent()
        .expect("the tests crate lies in the checkout")
        .to_path_buf()
}

/// In CI nothing may be skipped: what is missing there fails.
pub fn in_ci() -> bool {
    env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

/// The cargo that started us, in the checkout's root.
pub fn cargo() -> Command {
    program(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The `lantern` binary.
pub fn lantern() -> Command {
    program(built("lantern"))
}

/// Path of a binary of that name, which cargo puts beside this program.
pub fn built(name: &str) -> PathBuf {
    let setup = env::current_exe().expect("the path of the running program is known");
    setup.with_file_name(format!("{name}{}", env::consts::EXE_SUFFIX))
}

/// A program that will run in the checkout's root, without standard input.
pub fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// Prints the command and runs it, all its output on stderr. An error is a sentence.
pub fn run(command: &mut Command) -> Result<(), String> {
    eprintln!("$ {}", shown(command));
    let status = command
        .stdout(io::stderr())
        .status()
        .map_err(|error| format!("{}: {error}", shown(command)))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{} ended with {status}", shown(command)))
    }
}

/// Prints the command and runs it. Its standard output, or an error that is a sentence.
pub fn run_and_read(command: &mut Command) -> Result<String, String> {
    eprintln!("$ {}", shown(command));
    let ran = command.stderr(Stdio::inherit()).output();
    let ran = ran.map_err(|error| format!("{}: {error}", shown(command)))?;
    if ran.status.success() {
        Ok(String::from_utf8_lossy(&ran.stdout).into_owned())
    } else {
        Err(format!("{} ended with {}", shown(command), ran.status))
    }
}

/// The command's standard output, if it ran and succeeded.
pub fn output(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether the command can be started and succeeds, without a word.
pub fn succeeds(command: &mut Command) -> bool {
    output(command).is_some()
}

/// Whether `name` is an executable on the PATH.
pub fn on_path(name: &str) -> bool {
    let file = format!("{name}{}", env::consts::EXE_SUFFIX);
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|dir| dir.join(&file).is_file()))
}

/// The command as one would type it: the settings it adds, the program's name, the arguments.
pub fn shown(command: &Command) -> String {
    let settings = command.get_envs().filter_map(|(key, value)| {
        let mut value = value?.to_string_lossy().into_owned();
        if key == "PATH" {
            value = value.replace(&env::var("PATH").unwrap_or_default(), "$PATH");
        }
        Some(format!("{}={value}", key.to_string_lossy()))
    });
    let name = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let words = std::iter::once(name).chain(command.get_args()).map(|word| {
        let word = word.to_string_lossy();
        if word.contains(' ') {
            format!("'{word}'")
        } else {
            word.into_owned()
        }
    });
    settings.chain(words).collect::<Vec<_>>().join(" ")
}

/// Debian, Ubuntu and what calls itself like them: where apt-get installs things.
pub fn is_debian() -> bool {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    on_path("apt-get") && like_debian(&release)
}

fn like_debian(os_release: &str) -> bool {
    os_release
        .lines()
        .filter_map(|line| {
            line.strip_prefix("ID=")
                .or_else(|| line.strip_prefix("ID_LIKE="))
        })
        .any(|value| {
            value
                .trim_matches('"')
                .split(' ')
                .any(|name| matches!(name, "debian" | "ubuntu"))
        })
}

/// `apt-get` with the rights to install: as root, or through a sudo that asks nothing. None where neither is.
pub fn apt_get() -> Option<Command> {
    if !is_debian() {
        return None;
    }
    let is_root = output(program("id").arg("-u")).as_deref() == Some("0");
    if is_root {
        let mut command = program("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        return Some(command);
    }
    let sudo = on_path("sudo") && succeeds(program("sudo").args(["-n", "true"]));
    sudo.then(|| {
        let mut command = program("sudo");
        command.args(["-n", "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        command
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_and_its_like_are_known_by_their_release_file() {
        assert!(like_debian("NAME=x\nID=debian\n"));
        assert!(like_debian("ID=pop\nID_LIKE=\"ubuntu debian\"\n"));
        assert!(!like_debian("ID=fedora\nPRETTY_NAME=\"no debian\"\n"));
        assert!(!like_debian(""));
    }

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let mut command = Command::new("/usr/bin/cargo");
        command
            .args(["run", "two words"])
            .env("KEY", "value")
            .env_remove("GONE");
        assert_eq!(shown(&command), "KEY=value cargo run 'two words'");
    }

    #[test]
    fn the_root_holds_the_workspace() {
        assert!(root().join("Cargo.lock").is_file());
    }
}
