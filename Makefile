# GNU make. `make help` lists the targets; cargo does the work.

CARGO ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=

target := $(or $(CARGO_TARGET_DIR),target)
circus := $(target)/release/circus
venv := $(target)/venv
bindir := $(DESTDIR)$(PREFIX)/bin
mandir := $(DESTDIR)$(PREFIX)/share/man
docdir := $(DESTDIR)$(PREFIX)/share/doc/circus
bashdir := $(DESTDIR)$(PREFIX)/share/bash-completion/completions
zshdir := $(DESTDIR)$(PREFIX)/share/zsh/site-functions
fishdir := $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
# systemd looks below /usr and /usr/local; elsewhere `systemctl enable` takes the path of the unit.
unitdir := $(DESTDIR)$(PREFIX)/lib/systemd/system

links := circusd circusctl circus-top
pages := $(wildcard man/*.[1-8])
examples := $(shell find examples -type f -not -name '*.pyc')
host := $(shell rustc -vV | sed -n 's/^host: //p')
version := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
static := $(target)/static/$(host)/release/circus
suites := $(sort $(wildcard tests/*/run.py))
minimal := $(target)/minimal/release/circus
features := $(shell sed -n '/^default = \[/,/^]/p' Cargo.toml | grep -o '"[a-z_]*"' | tr -d '"')

.PHONY: all build demo setup test check man ledger completions corpus fuzz bench install uninstall static musl aarch64 armv7 dist deb size
.PHONY: minimal without clean help faults reproduce sim-long mutants fuzz-short soak chaos miri valgrind audit

# The same bytes wherever it is built: messages of crates name their files, and those lie below the user's home.
home := $(or $(CARGO_HOME),$(HOME)/.cargo)
remap := --remap-path-prefix=$(home)/registry/src=crates --remap-path-prefix=$(CURDIR)=circus
release := RUSTFLAGS="$(RUSTFLAGS) $(remap)" $(CARGO) build --release

all: build

build: ## build the release binary (the default)
	$(release)

demo: build ## run examples/demo.ini in the foreground; Ctrl-C ends it
	cd examples && exec $(abspath $(circus)) demo.ini

setup: ## install what the tests need: Debian packages as root, Python ones in a venv
	tests/tools/setup.sh

# Every suite runs, even when an earlier one failed, so that the totals are whole.
test: build static setup ## cargo's tests, then those in Python: compliance, clients, the real stack
	status=0; \
	$(CARGO) test --no-fail-fast || status=1; \
	$(MAKE) --no-print-directory fuzz-short || status=1; \
	for suite in $(suites); do $(venv)/bin/python -B $$suite || status=1; done; \
	$(MAKE) --no-print-directory minimal || status=1; \
	exit $$status

check: man without ## format, lints, who imports whom, documentation, man pages, each feature left out
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	$(CARGO) test --test architecture
	RUSTDOCFLAGS=-Dwarnings $(CARGO) doc --no-deps

# By clippy, since it alone makes warnings errors without building the crates anew; what it thinks of stubs is no matter.
without: ## compile with each feature left out, with those that need it, and with none
	$(CARGO) clippy --no-default-features --lib --bins -- -D warnings -A clippy::all
	for left in $(features); do \
	    out=$$left; before=; \
	    while [ "$$out" != "$$before" ]; do \
	        before=$$out; needs=$$(printf '%s\n' $$out | paste -sd'|'); \
	        out=$$(printf '%s\n' $$out; sed -nE "s/^([a-z_]+) = \[.*\"($$needs)\".*/\1/p" Cargo.toml); \
	        out=$$(printf '%s\n' $$out | sort -u); \
	    done; \
	    rest=$$(printf '%s\n' $(features) | grep -vxF "$$out" | paste -sd,); \
	    $(CARGO) clippy --no-default-features --lib --bins --features $$rest -- -D warnings -A clippy::all || exit 1; \
	done

minimal: ## the smallest binary, without any feature, and its tests: the stack of nginx, gunicorn and redis above all
	$(release) --no-default-features --target-dir $(target)/minimal
	CIRCUS_PROGRAM=$(abspath $(minimal)) $(CARGO) test --test minimal
	CIRCUS_BIN=$(abspath $(minimal)) $(venv)/bin/python -B tests/stack/run.py

# `make man` writes the lists that come from tables anew; within `make check` a page that is not up to date fails.
man: ## bring the lists in the man pages up to date, and check the pages
	$(if $(filter check,$(MAKECMDGOALS)),,CIRCUS_WRITE_MANUAL=1) \
	    $(CARGO) test --test manual the_lists_are_those_of_the_tables
	tests/tools/setup.sh mandoc
	mandoc -Tlint -Wwarning $(pages)

ledger: ## bring docs/unsafe.md, the ledger of unsafe code, up to date
	CIRCUS_WRITE_LEDGER=1 $(CARGO) test --test architecture the_ledger_of_unsafe_code

completions: ## bring the completions for bash, zsh and fish up to date
	CIRCUS_WRITE_COMPLETIONS=1 $(CARGO) test --test completions the_scripts_are_those_of_the_tables

corpus: build ## compare with what Circus reads from the files in CORPUS=DIR
	$(venv)/bin/python -B tests/corpus/compare.py $(circus) $(CORPUS)

INPUTS ?= 1000000

# The counters that the compiler puts in for measuring coverage tell which inputs are worth keeping. In a directory of
# its own, since everything is compiled for it.
guided := LLVM_PROFILE_FILE=/dev/null RUSTFLAGS="$(RUSTFLAGS) -C instrument-coverage --cfg coverage"
fuzzing := --target-dir $(target)/guided --test fuzz -- --nocapture

fuzz: ## feed INPUTS=N pieces of nonsense to everything that reads; more examples: CORPUS=DIR; KEEP=1 keeps what is new
	FUZZ_INPUTS=$(INPUTS) FUZZ_CORPUS=$(if $(CORPUS),$(abspath $(CORPUS))) $(if $(KEEP),FUZZ_KEEP=1) \
	    $(guided) nice $(CARGO) test --profile fuzz $(fuzzing)

# Without optimization, which would take longer to compile than it saves.
fuzz-short: ## the same with few inputs, as a part of `make test`
	FUZZ_INPUTS=30000 $(guided) $(CARGO) test $(fuzzing)

# It is a hundred times slower: what reads long inputs takes too long, and its floating point numbers are not exact.
miri: ## for those who have it (rustup +nightly component add miri): the tests of the small readers under Miri
	MIRIFLAGS=-Zmiri-disable-isolation $(CARGO) +nightly miri test --target-dir $(target)/miri --lib -- \
	    config::text config::words config::grants

# Left out is what it does not do as the kernel: memory shared with a child, the limit of descriptors, pidfd_open.
valgrind: ## for those who have it (Debian: valgrind): the tests of what is unsafe under memcheck
	$(CARGO) test --config 'target.$(host).runner = "valgrind -q --error-exitcode=99"' --lib -- \
	    sys:: --skip sys::child --skip sys::limit --skip by_descriptor

# It fetches the list of known weaknesses.
audit: ## for those who have it (cargo install cargo-deny): known weaknesses, licences and sources of all crates, by deny.toml
	$(CARGO) deny --locked check

# The number of steps is reached by as many lives as it takes, from seed 1 on, or from FIRST on.
STEPS ?= 10000000
FIRST ?= 1

sim-long: ## play random lives of the arbiter for STEPS=N steps of each kind; seeds and what breaks a rule are printed
	CIRCUS_SIM_SEED=$(FIRST) CIRCUS_SIM_STEPS=$(STEPS) RUST_BACKTRACE=0 \
	    $(CARGO) test --profile fuzz --lib arbiter::sim -- --nocapture the_rules the_model

mutants: ## put deliberate faults into a copy of the arbiter: its random lives have to find each; some alone: ONLY=WORD
	CIRCUS_MUTANTS="$(ONLY)" $(CARGO) test --test mutants -- --nocapture

faults: build setup ## let every system call fail, one time after the other; writes tests/faults/table.md (half an hour)
	$(venv)/bin/python -B tests/faults/run.py --all

SECONDS ?= 3600
SEED ?= 1
ROUNDS ?= 100

soak: build ## churn of everything for SECONDS=n, an hour: memory, descriptors, wake-ups, answers afterwards as before
	SECONDS=$(SECONDS) python3 -B tests/soak/run.py soak

chaos: build ## ROUNDS=n, from FIRST=n on, of SIGKILL, full disk, no memory and the like, by SEED=n, against what must hold in quiet
	SEED=$(SEED) FIRST=$(FIRST) ROUNDS=$(ROUNDS) python3 -B tests/soak/run.py chaos

bench: build ## measure against other supervisors (tests/bench/README.md)
	CIRCUS_BIN=$(abspath $(circus)) tests/bench/run.sh

install: build ## install below $(DESTDIR)$(PREFIX)
	install -d $(bindir)
	install -m 755 $(circus) $(bindir)/circus
	for link in $(links); do ln -sf circus $(bindir)/$$link; done
	for page in $(pages); do \
	    install -D -m 644 $$page $(mandir)/man$${page##*.}/$${page##*/} || exit 1; \
	done
	for link in circusd circus-top; do ln -sf circus.1 $(mandir)/man1/$$link.1; done
	# The examples name the binary where it is by default.
	for example in $(examples); do \
	    install -D -m 644 $$example $(docdir)/$$example && \
	    sed -i 's|/usr/local/bin/circus|$(PREFIX)/bin/circus|' $(docdir)/$$example || exit 1; \
	done
	install -D -m 644 $(docdir)/examples/circus.service $(unitdir)/circus.service
	install -D -m 644 completions/circus.bash $(bashdir)/circus
	install -D -m 644 completions/_circus $(zshdir)/_circus
	install -D -m 644 completions/circus.fish $(fishdir)/circus.fish
	for link in $(links); do \
	    ln -sf circus $(bashdir)/$$link && ln -sf circus.fish $(fishdir)/$$link.fish || exit 1; \
	done

uninstall: ## remove what install put there
	rm -f $(unitdir)/circus.service
	rm -f $(bindir)/circus $(addprefix $(bindir)/,$(links))
	rm -f $(foreach page,$(pages),$(mandir)/man$(subst .,,$(suffix $(page)))/$(notdir $(page)))
	rm -f $(mandir)/man1/circusd.1 $(mandir)/man1/circus-top.1
	rm -f $(addprefix $(bashdir)/,circus $(links)) $(zshdir)/_circus
	rm -f $(addsuffix .fish,$(addprefix $(fishdir)/,circus $(links)))
	rm -rf $(docdir)

# The loader that a static binary has in it understands relative relocations in packed form from glibc 2.36 on.
packed := $(shell getconf GNU_LIBC_VERSION 2> /dev/null | awk '{ split($$2, v, "."); new = v[1] > 2 || v[2] >= 36 } \
    END { if (new) print "-C link-arg=-Wl,-z,pack-relative-relocs" }')

# What the flags are given for must not be built anew for `make`: hence a directory of its own.
static: ## a static binary that needs nothing on the target, not even a C library
	RUSTFLAGS="$(RUSTFLAGS) $(remap) -C target-feature=+crt-static $(packed)" \
	    $(CARGO) build --release --target $(host) --target-dir $(target)/static

# For those who have the target: rustup target add NAME, and a linker for it.
musl: cross := x86_64-unknown-linux-musl
aarch64: cross := aarch64-unknown-linux-musl
armv7: cross := armv7-unknown-linux-musleabihf
musl aarch64 armv7: ## the same for x86_64, aarch64 or armv7 with musl
	RUSTFLAGS="$(RUSTFLAGS) $(remap) -C target-feature=+crt-static" \
	    $(CARGO) build --release --target $(cross) --target-dir $(target)/static

dist: ## a tarball of what is committed, with the source of all crates: builds without a network
	tests/tools/dist.sh circus-$(version) $(target)/dist

reproduce: ## build twice, in two directories with a CARGO_HOME each, and compare the binaries
	tests/tools/reproduce.sh $(target)/reproduce

deb: build ## a Debian package of the release binary
	tests/tools/deb.sh $(version) $(target)/deb

size: build static ## sizes of the stripped binaries, memory of an idle daemon and of the init of a command
	tests/tools/size.sh $(circus)
	tests/tools/size.sh $(static)

clean: ## remove everything that was built
	$(CARGO) clean

help: ## list the targets
	@sed -n 's/^\([a-z0-9 -]*\):.*## \(.*\)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20
