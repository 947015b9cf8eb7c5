use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tempfile::TempDir;

use super::super::last_good::tests::sample;
use super::*;
use crate::task::Tasks;

fn open(directory: &TempDir) -> Cache {
    opened(directory, true)
}

fn opened(directory: &TempDir, with_secrets: bool) -> Cache {
    Cache::open(directory.path().join("copy"), &directory.path().join("copy.key"), with_secrets).unwrap()
}

fn permissions(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_copy_is_private_and_comes_back_as_it_was() {
    let directory = TempDir::new().unwrap();
    let cache = open(&directory);
    assert!(cache.load().is_none());
    cache.store(&sample()).unwrap();
    assert_eq!(fs::metadata(&cache.path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(open(&directory).load() == Some(sample()));
    let bytes = fs::read(&cache.path).unwrap();
    let canary = b"sk-canary-0123456789";
    assert!(!bytes.windows(8).any(|window| canary.windows(8).any(|part| part == window)));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "the copy, its key, and nothing else");
}

#[test]
fn no_bit_can_be_turned_and_nothing_can_be_cut_off() {
    let directory = TempDir::new().unwrap();
    let cache = open(&directory);
    cache.store(&sample()).unwrap();
    let whole = fs::read(&cache.path).unwrap();
    for bit in 0..whole.len() * 8 {
        let mut altered = whole.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        fs::write(&cache.path, altered).unwrap();
        assert!(cache.load().is_none(), "bit {bit}");
    }
    for end in 0..whole.len() {
        fs::write(&cache.path, &whole[..end]).unwrap();
        assert!(cache.load().is_none(), "cut at {end}");
    }
    fs::write(&cache.path, [&whole[..], &[0]].concat()).unwrap();
    assert!(cache.load().is_none());
    // The check of all this bites: the file as it was is read.
    fs::write(&cache.path, &whole).unwrap();
    assert!(cache.load() == Some(sample()));
}

#[test]
fn what_cannot_be_used_says_why_and_is_written_anew() {
    let directory = TempDir::new().unwrap();
    let cache = open(&directory);
    cache.store(&sample()).unwrap();
    let whole = fs::read(&cache.path).unwrap();
    let mut older = whole.clone();
    older[MAGIC.len()] = b'0';
    let mut altered = whole.clone();
    *altered.last_mut().unwrap() ^= 1;
    for (content, mode, expected) in [
        (&whole, 0o644, "every user"),
        (&older, 0o600, "another version"),
        (&altered, 0o600, "another key, altered"),
        (&b"notes".to_vec(), 0o600, "no copy"),
        (&Vec::new(), 0o600, "no copy"),
    ] {
        fs::write(&cache.path, content).unwrap();
        permissions(&cache.path, mode);
        let problem = cache.read().map(drop).unwrap_err().to_string();
        assert!(problem.contains(expected), "{problem}");
        assert!(cache.load().is_none());
        cache.store(&sample()).unwrap();
        assert!(cache.load() == Some(sample()));
    }
    fs::remove_file(directory.path().join("copy.key")).unwrap();
    let rekeyed = open(&directory);
    assert!(rekeyed.load().is_none(), "another key");
    rekeyed.store(&sample()).unwrap();
    assert!(rekeyed.load() == Some(sample()));
}

#[test]
fn a_copy_of_which_others_in_the_group_may_read_is_used() {
    // A mounted volume with a group of its own has its files opened to that group.
    let directory = TempDir::new().unwrap();
    let cache = open(&directory);
    cache.store(&sample()).unwrap();
    permissions(&cache.path, 0o660);
    assert!(cache.load() == Some(sample()));
}

#[test]
fn secrets_are_neither_written_nor_read_where_they_are_not_served() {
    let directory = TempDir::new().unwrap();
    open(&directory).store(&sample()).unwrap();
    let without = opened(&directory, false);
    assert!(without.load() == Some(LastGood { secrets: Vec::new(), ..sample() }));
    without.store(&sample()).unwrap();
    assert!(open(&directory).load() == Some(LastGood { secrets: Vec::new(), ..sample() }));
}

#[test]
fn a_draft_that_a_killed_process_left_is_neither_read_nor_in_the_way() {
    let directory = TempDir::new().unwrap();
    let cache = open(&directory);
    cache.store(&sample()).unwrap();
    let draft = directory.path().join("copy.new");
    fs::write(&draft, "half a co").unwrap();
    assert!(cache.load() == Some(sample()));
    cache.store(&LastGood { revision: 8, ..sample() }).unwrap();
    assert_eq!(cache.load().map(|copy| copy.revision), Some(8));
    assert!(!draft.exists());
}

#[test]
fn a_directory_that_takes_no_files_leaves_the_sidecar_alone() {
    let directory = TempDir::new().unwrap();
    // Not even root makes files there.
    let cache = Cache::open("/sys/modelward-copy".into(), &directory.path().join("key"), true).unwrap();
    assert!(cache.load().is_none());
    assert!(cache.store(&sample()).is_err());
    assert!(Cache::open(directory.path().join("copy"), Path::new("/sys/modelward-key"), true).is_err());
}

/// A state whose numbers a test turns.
struct Turning {
    version: AtomicU64,
    confirmed: AtomicU64,
    taken: AtomicUsize,
}

impl Source for Turning {
    fn version(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }

    fn confirmed(&self) -> Timestamp {
        Timestamp::from_micros(self.confirmed.load(Ordering::SeqCst).cast_signed())
    }

    fn last_good(&self) -> Option<LastGood> {
        self.taken.fetch_add(1, Ordering::SeqCst);
        let revision = self.version().cast_signed();
        (revision > 0).then(|| LastGood { revision, confirmed: self.confirmed(), ..sample() })
    }
}

fn writer(cache: &Arc<Cache>, source: &Arc<Turning>) -> (CacheWriter, Arc<AtomicUsize>) {
    let written = Arc::new(AtomicUsize::new(0));
    let told = Arc::clone(&written);
    let observer = Box::new(move |worked: bool| {
        told.fetch_add(usize::from(worked), Ordering::SeqCst);
    });
    let source: Arc<dyn Source> = Arc::clone(source) as _;
    let writer = CacheWriter::new(Arc::clone(cache), source, observer);
    (CacheWriter { interval: Duration::from_millis(1), ..writer }, written)
}

async fn until(condition: impl Fn() -> bool) {
    let met = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), met).await.unwrap();
}

#[tokio::test]
async fn what_changes_is_written_and_what_does_not_is_not() {
    let directory = TempDir::new().unwrap();
    let cache = Arc::new(open(&directory));
    let source = Arc::new(Turning { version: 0.into(), confirmed: 1.into(), taken: 0.into() });
    let (writer, written) = writer(&cache, &source);
    let tasks = Tasks::new();
    tasks.spawn("cache", writer.run(tasks.stopping()));
    until(|| source.taken.load(Ordering::SeqCst) > 3).await;
    assert!(!cache.path.exists(), "there is nothing to keep yet");
    source.version.store(1, Ordering::SeqCst);
    until(|| written.load(Ordering::SeqCst) == 1).await;
    let taken = source.taken.load(Ordering::SeqCst);
    source.confirmed.store(2_000_000, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!((written.load(Ordering::SeqCst), source.taken.load(Ordering::SeqCst)), (1, taken));
    source.version.store(2, Ordering::SeqCst);
    until(|| written.load(Ordering::SeqCst) == 2).await;
    source.confirmed.store(3_000_000, Ordering::SeqCst);
    tasks.shutdown(Duration::from_secs(20)).await;
    let left = cache.load().map(|copy| (copy.revision, copy.confirmed.micros()));
    assert_eq!((left, written.load(Ordering::SeqCst)), (Some((2, 3_000_000)), 3), "a stop writes what is left");
}

#[tokio::test]
async fn a_disk_that_failed_is_tried_again() {
    let directory = TempDir::new().unwrap();
    let cache = Arc::new(open(&directory));
    // A directory where the copy belongs: renaming over it fails.
    fs::create_dir(&cache.path).unwrap();
    let source = Arc::new(Turning { version: 1.into(), confirmed: 1.into(), taken: 0.into() });
    let (writer, written) = writer(&cache, &source);
    let tasks = Tasks::new();
    tasks.spawn("cache", writer.run(tasks.stopping()));
    until(|| source.taken.load(Ordering::SeqCst) > 3).await;
    assert_eq!(written.load(Ordering::SeqCst), 0);
    fs::remove_dir(&cache.path).unwrap();
    until(|| written.load(Ordering::SeqCst) == 1).await;
    assert!(cache.load().is_some());
    tasks.shutdown(Duration::from_secs(20)).await;
}
