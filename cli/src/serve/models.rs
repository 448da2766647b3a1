//! Models that are served: one for as long as the server runs, or those of a folder, each loaded when a request names it and
//! unloaded when none has for a while, or when another wants its memory.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::http::StatusCode;
use lantern_engine::{Gpu, LanguageModel, Limit, ModelFile, ServiceOptions, file::part_of};

use super::{
    error::ApiError,
    served::{Held, Served},
};
use crate::{
    failure::{Failure, Result},
    load::{self, LoadArgs},
    notes,
};

/// How a model is loaded and served.
#[derive(Debug, Clone)]
pub struct Loading {
    pub load: LoadArgs,
    pub service: ServiceOptions,
}

/// Folder with models, and how many of them are loaded at once, for how long.
pub struct Folder {
    pub path: PathBuf,
    pub gpu: Arc<Gpu>,
    pub loading: Loading,
    pub max: usize,
    /// Time after which a model that nobody uses is unloaded; none: it stays.
    pub keep: Option<Duration>,
}

/// The models of a server.
pub struct Models {
    /// None: one model answers, whatever it is called.
    folder: Option<Folder>,
    loaded: Mutex<Vec<Loaded>>,
    /// Held while a model is loaded: one at a time.
    turn: tokio::sync::Mutex<()>,
}

struct Loaded {
    held: Held,
    used: Instant,
}

impl Loaded {
    fn new(served: Served) -> Loaded {
        Loaded {
            held: Arc::new(served),
            used: Instant::now(),
        }
    }

    fn idle(&self) -> bool {
        Arc::strong_count(&self.held) == 1
    }
}

impl Loading {
    /// Loads a model onto a GPU. Blocks.
    pub fn serve(&self, gpu: &Arc<Gpu>, file: &ModelFile, name: Option<String>) -> Result<Served> {
        let (load, options) = (&self.load, self.load.options());
        let loaded = load::load_onto(gpu.clone(), Instant::now(), file, load, &options)?;
        let model = LanguageModel::with_model(file, loaded.model)?;
        Ok(Served::start(model, self.service.clone(), name)?)
    }
}

impl Models {
    /// One model, which is loaded.
    pub fn one(served: Served) -> Models {
        Models::with(None, vec![Loaded::new(served)])
    }

    /// The models of a folder, none of which is loaded yet.
    pub fn of(folder: Folder) -> Models {
        Models::with(Some(folder), vec![])
    }

    fn with(folder: Option<Folder>, loaded: Vec<Loaded>) -> Models {
        Models {
            folder,
            loaded: Mutex::new(loaded),
            turn: tokio::sync::Mutex::new(()),
        }
    }

    fn table(&self) -> MutexGuard<'_, Vec<Loaded>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Models that are loaded.
    pub fn loaded(&self) -> Vec<Held> {
        self.table().iter().map(|one| one.held.clone()).collect()
    }

    /// Names of all models, in order.
    pub fn names(&self) -> std::result::Result<Vec<String>, ApiError> {
        let Some(folder) = &self.folder else {
            return Ok(self
                .table()
                .iter()
                .map(|one| one.held.name.clone())
                .collect());
        };
        let found = found(&folder.path).map_err(|error| unreadable(folder, &error))?;
        Ok(found.into_iter().map(|(name, _)| name).collect())
    }

    /// The model that a request names; it is loaded if it was not.
    pub async fn find(self: &Arc<Self>, name: Option<&str>) -> std::result::Result<Held, ApiError> {
        let Some(folder) = &self.folder else {
            let one = self.table().first().map(|one| one.held.clone());
            return one.ok_or_else(|| ApiError::unknown_model("", &[]));
        };
        let all = found(&folder.path).map_err(|error| unreadable(folder, &error))?;
        let named = match name {
            Some(name) => all.iter().find(|(known, _)| known == name),
            None if all.len() == 1 => all.first(),
            None => {
                let message = "model is missing: GET /v1/models lists those that there are";
                return Err(ApiError::bad(message, Some("model")));
            }
        };
        let Some((name, path)) = named.cloned() else {
            let all: Vec<String> = all.into_iter().map(|(name, _)| name).collect();
            return Err(ApiError::unknown_model(name.unwrap_or_default(), &all));
        };
        if let Some(held) = self.held(&name) {
            return Ok(held);
        }
        // On a task of its own: who asked may go away, and the next then finds it loaded.
        let models = self.clone();
        let loading = tokio::spawn(async move { models.load(name, path).await });
        let failed = |_| lantern_engine::Error::Device("loading has ended too early".into());
        loading.await.map_err(failed)?
    }

    fn held(&self, name: &str) -> Option<Held> {
        let mut table = self.table();
        let one = table.iter_mut().find(|one| one.held.name == name)?;
        one.used = Instant::now();
        Some(one.held.clone())
    }

    async fn load(&self, name: String, path: PathBuf) -> std::result::Result<Held, ApiError> {
        let _turn = self.turn.lock().await;
        if let Some(held) = self.held(&name) {
            return Ok(held);
        }
        let folder = self
            .folder
            .as_ref()
            .expect("only models of a folder are loaded later");
        while self.table().len() >= folder.max {
            if !self.unload(1).await {
                return Err(all_in_use(folder.max));
            }
        }
        let served = match self.try_load(folder, &name, &path).await {
            // Others may have the memory that it wants: once more, without those that nobody uses.
            Ok(served) if served.model().model().streaming().is_some() && self.idle() > 0 => {
                drop_elsewhere(vec![served]).await;
                self.unload(usize::MAX).await;
                self.try_load(folder, &name, &path).await
            }
            Err(error) if wants_memory(&error) && self.unload(usize::MAX).await => {
                self.try_load(folder, &name, &path).await
            }
            tried => tried,
        };
        let served = served.map_err(|error| cannot_load(&name, error))?;
        let loaded = Loaded::new(served);
        let held = loaded.held.clone();
        self.table().push(loaded);
        Ok(held)
    }

    async fn try_load(&self, folder: &Folder, name: &str, path: &Path) -> Result<Served> {
        let (gpu, loading) = (folder.gpu.clone(), folder.loading.clone());
        let (name, path) = (name.to_owned(), path.to_owned());
        let tried = tokio::task::spawn_blocking(move || {
            notes::note(&format!("loading {name}"));
            let file = loading.load.quantised(ModelFile::open(&path)?)?;
            loading.serve(&gpu, &file, Some(name))
        });
        let failed = |error| Failure::Message(format!("loading has ended too early: {error}"));
        tried.await.map_err(failed)?
    }

    fn idle(&self) -> usize {
        self.table().iter().filter(|one| one.idle()).count()
    }

    /// Unloads up to `count` models that nobody uses, those not used for longest first; whether there was one.
    async fn unload(&self, count: usize) -> bool {
        let mut gone = vec![];
        {
            let mut table = self.table();
            table.sort_by_key(|one| one.used);
            while let Some(at) = table.iter().position(Loaded::idle)
                && gone.len() < count
            {
                gone.push(table.remove(at).held);
            }
        }
        let any = !gone.is_empty();
        unload(gone).await;
        any
    }

    /// Unloads models that nobody used for a while, for as long as the server runs.
    pub async fn watch(&self) {
        const TICK: Duration = Duration::from_millis(500);
        let Some(keep) = self.folder.as_ref().and_then(|folder| folder.keep) else {
            return std::future::pending().await;
        };
        loop {
            tokio::time::sleep(TICK.min(keep.max(Duration::from_millis(10)))).await;
            let mut gone = vec![];
            self.table().retain_mut(|one| {
                if !one.idle() {
                    one.used = Instant::now();
                }
                let stays = one.used.elapsed() < keep || !one.idle();
                if !stays {
                    gone.push(one.held.clone());
                }
                stays
            });
            unload(gone).await;
        }
    }
}

async fn unload(gone: Vec<Held>) {
    for held in &gone {
        notes::note(&format!("unloading {}", held.name));
    }
    drop_elsewhere(gone).await;
}

/// Drops models where waiting for their threads stops nothing else.
async fn drop_elsewhere<T: Send + 'static>(gone: T) {
    let _ = tokio::task::spawn_blocking(move || drop(gone)).await; // a panic of theirs has been said
}

/// Names and paths of the models in a folder, in the order of names: GGUF files, split ones by their first part, and folders
/// with safetensors.
fn found(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut all = vec![];
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(file) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        let name = match file.strip_suffix(".gguf") {
            Some(stem) if path.is_file() => match part_of(file) {
                Some((name, 1, _)) => name,
                Some(_) => continue,
                None => stem,
            },
            _ if path.join("config.json").is_file() => file,
            _ => continue,
        };
        all.push((name.to_owned(), path));
    }
    all.sort();
    Ok(all)
}

fn wants_memory(error: &Failure) -> bool {
    matches!(
        error,
        Failure::Engine(lantern_engine::Error::DoesNotFit {
            limit: Limit::Memory,
            ..
        })
    )
}

fn unreadable(folder: &Folder, error: &io::Error) -> ApiError {
    ApiError {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        message: format!("{}: {error}", folder.path.display()),
        param: None,
        code: None,
    }
}

fn all_in_use(max: usize) -> ApiError {
    let message = format!("{max} models are loaded, as many as may, and all are in use; try again");
    ApiError {
        param: Some("model".into()),
        ..ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "models_busy", message)
    }
}

fn cannot_load(name: &str, error: Failure) -> ApiError {
    let mut told = match error {
        Failure::Engine(error) => ApiError::from(error),
        other => ApiError::bad(other.to_string(), None),
    };
    // What the file is like is no fault of the request.
    told.status = StatusCode::INTERNAL_SERVER_ERROR;
    told.message = format!("{name} cannot be loaded: {}", told.message);
    told.code = Some("model_not_loaded");
    told
}

#[cfg(test)]
mod tests {
    use super::part_of;

    #[test]
    fn parts_of_a_split_file_are_one_model() {
        let part = |name: &str| {
            part_of(&format!("{name}.gguf")).map(|(name, number, _)| (name.to_owned(), number))
        };
        let named = |name: &str, number| Some((name.to_owned(), number));
        assert_eq!(part("big-Q4-00001-of-00003"), named("big-Q4", 1));
        assert_eq!(part("big-00002-of-00003"), named("big", 2));
        for whole in ["big", "one-of-many", "a-1-of-2"] {
            assert_eq!(part(whole), None);
        }
    }
}
