# Roost's commands. `make demo` and `make test` set up everything they need on a fresh Debian 12
# with Swift 6.3: as root they install what is missing, otherwise they say what to install.

SWIFT ?= swift
# Builds for use, for tests and for documentation differ in their settings, so each has a folder
# of its own: sharing one would build everything anew at each change of command.
BUILD := -c release --scratch-path .build-release -Xswiftc -static-stdlib -debug-info-format none \
	-Xlinker --no-export-dynamic
TESTS := -c release -Xswiftc -enable-testing --scratch-path .build-test
# Writes the commit into a linked program.
STAMP := SWIFT="$(SWIFT)" Extras/stamp.sh

# What building needs; what the demonstration needs besides; what tests and benchmarks need besides.
PACKAGES := binutils ca-certificates gcc libc6-dev liburing-dev libssl-dev libxxhash-dev libzstd-dev nbdkit \
	nbdkit-plugin-dev pkg-config zlib1g-dev
DEMO_PACKAGES := $(PACKAGES) debian-archive-keyring gzip qemu-system-x86 util-linux
TEST_PACKAGES := $(DEMO_PACKAGES) debootstrap dpkg-dev e2fsprogs fio iperf3 iproute2 iputils-ping iputils-tracepath libnbd-bin \
	libnbd-dev openssl procps python3-jsonschema python3-minimal qemu-utils tcpdump traceroute xenstore-utils zstd

# What making a Debian package needs besides, and the laboratory that installs it.
PACKAGING := $(PACKAGES) dpkg-dev gzip python3-minimal
INSTALL_PACKAGES := $(PACKAGING) debootstrap iproute2 util-linux

.PHONY: build products install deb demo test lab-install lab-ownership lint bench fuzz sanitize docs clean packages \
	demo-packages test-packages packaging install-packages

build: packages products

# Everything that README uses.
products:
	$(SWIFT) build $(BUILD) --product roost
	$(SWIFT) build $(BUILD) --product stamped-guest
	$(SWIFT) build $(BUILD) --product RoostNBDKit -Xlinker --version-script=Extras/nbdkit/plugin.map
	$(STAMP) .build-release/release/roost

# As usual: PREFIX is /usr/local, DESTDIR a folder in front of it. Builds nothing.
install:
	Extras/packaging/install.sh .build-release/release

deb: packaging products
	Extras/packaging/deb.sh .build-release/release .build-deb

# A killed relay, receiver, link or QEMU at every step of a move's end, with real QEMUs.
lab-ownership:
	ROOST_LAB_MATRIX=1 ROOST_BINARY=$$($(SWIFT) build $(TESTS) --show-bin-path)/roost \
		$(SWIFT) test $(TESTS) --no-parallel --filter OwnershipLab

# Installs the package into a bare Debian 12, uses, upgrades and removes it. From what was built: a program of
# `make build`, or else the objects of the tests.
lab-install: install-packages
	Tests/Labs/install/run.sh

demo: demo-packages
	@[ -x .build-release/release/roost ] || echo "building Roost first: some eight minutes on two idle" \
		"processors, most of them for Roost itself; the demonstration then takes half a minute"
	@$(MAKE) --no-print-directory products
	$(SWIFT) build $(BUILD) --product roost-demo
	Tests/Labs/qemu/prepare.sh --guest
	ROOST_BINARY=.build-release/release/roost .build-release/release/roost-demo --output .build-demo

test: test-packages
	SWIFT="$(SWIFT)" TESTS="$(TESTS)" Tests/run.sh

lint:
	$(SWIFT) format lint --strict --recursive Package.swift Sources Extras Tests Benchmarks/Package.swift \
		Benchmarks/Sources Benchmarks/Benchmarks

bench: test-packages
	Benchmarks/run.sh

fuzz: test-packages
	Tests/Fuzz/run.sh 300

# The engines' threads under the thread sanitizer, in release: a debug build hides accesses. One by
# one, since each test takes some ten times as long under it.
sanitize: test-packages
	TSAN_OPTIONS="suppressions=$(CURDIR)/Tests/thread-sanitizer.supp" $(SWIFT) test \
		--no-parallel -c release -Xswiftc -enable-testing --sanitize=thread \
		--scratch-path .build-sanitize \
		--filter 'RoostBlockTests|RoostGuestTests|RoostHypervisorTests|RoostMigrationTests|RoostRouterTests|RoostSystemTests'

docs: packages
	for target in RoostBlock RoostGuest RoostHypervisor RoostMemory RoostMigration RoostRouter; do \
		$(SWIFT) package --scratch-path .build-docs generate-documentation --target $$target \
			--warnings-as-errors || exit 1; \
	done

clean:
	rm -rf .build .build-release .build-test .build-docs .build-sanitize .build-lab .build-demo .build-deb .build-probe \
		Benchmarks/.build Tests/Fuzz/.build

packages: INSTALLED = $(PACKAGES)
packaging: INSTALLED = $(PACKAGING)
install-packages: INSTALLED = $(INSTALL_PACKAGES)
demo-packages: INSTALLED = $(DEMO_PACKAGES)
test-packages: INSTALLED = $(TEST_PACKAGES)

packages packaging install-packages demo-packages test-packages:
	@missing=""; \
	for package in $(INSTALLED); do \
		dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'ok installed' \
			|| missing="$$missing $$package"; \
	done; \
	[ -n "$$missing" ] || exit 0; \
	if [ "$$(id -u)" = 0 ]; then \
		echo "installing:$$missing"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -qq -y --no-install-recommends $$missing >/dev/null; \
	else \
		echo "missing Debian packages; run as root: apt-get install$$missing" >&2; \
		exit 1; \
	fi
