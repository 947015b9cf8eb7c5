# What CI runs, as it stands. `just` alone lists the recipes.

default:
    @just --list

# Formatting is as rustfmt.toml says.
fmt:
    cargo fmt --all --check

# Every warning is an error.
lint:
    cargo clippy --locked --all-targets -- -D warnings

# The promises in their long form: kills, outages, attacks, Patroni. Installs Debian's packages that it needs. Takes long.
chaos *filter:
    MODELWARD_PROOFS=long scripts/test --test main -- promises::{{filter}} deployment::{{filter}} --include-ignored --test-threads 2 --nocapture

# All tests; PostgreSQL's too where a server can be started.
test:
    cargo test --locked

# Which lines the tests run; below 80 percent it fails.
coverage:
    .ci/run coverage

# Licences, bans, duplicates and sources of what we depend on.
deny:
    cargo deny --locked check bans licenses sources

# Known vulnerabilities in it; fetches the advisories from the network.
audit:
    cargo deny --locked check advisories

# The documentation builds without a warning.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

# Benchmarks, as ratios; all of them or those that are named. Takes a quarter of an hour and wants a quiet machine.
bench *case:
    cargo bench --locked --bench load -- {{case}}

# The chart, the Dockerfile and compose.yaml, with the real helm.
chart:
    .ci/run chart

# The release binary in a root that holds only what the image does, started as the chart says.
image:
    .ci/run release image
