#include "simulation/simulation.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <utility>

#include "commands/books_page.h"
#include "common/log/log.h"
#include "simulation/sim_judge.h"
#include "simulation/sim_process.h"

namespace sluice::simulation {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using Op = FaultFilesystem::Op;

enum class Death : std::uint8_t {
  none,
  kill,   // what was written is in the cache yet
  power,  // what was not synced is there, or torn, or not
};

// A machine: a disk, and a process on it or none.
struct Host {
  int number = 0;
  FaultFilesystem disk;
  std::unique_ptr<SimProcess> process;
  Death dying = Death::none;  // as soon as the disk says that it is over
  bool a_read_fails = false;  // in this life: two in a row would be damage
  struct Backup {
    std::shared_ptr<const FaultFilesystem::Image> image;
    std::vector<bool> acked;  // by document, when it was made
    WallTime made_at;
  };
  std::deque<Backup> backups;  // the oldest first
};

// Any two of these, never all: where a backup brought back a segment without its list of rejects,
// another version has decided since, and the quarantine prefix may not even be looked at, nothing
// can tell what is in there (docs/decisions/rejects-decide.md).
enum class Mixture : std::uint8_t { no_other_version, no_restore, no_denial };

class Simulation {
 public:
  explicit Simulation(const SimulationOptions& options)
      : options_(options),
        random_(options.seed),
        trace_(clock_, options.trace),
        remote_(random_, clock_, trace_, abilities()),
        documents_(random_, options.stream),
        settings_(make_settings()),
        mixture_(static_cast<Mixture>(random_.below(3))) {
    remote_.weather.denials = mixture_ != Mixture::no_denial;
    const int hosts = random_.one_in(3) ? 2 : 1;
    for (int i = 0; i < hosts; ++i) {
      hosts_.push_back(std::make_unique<Host>());
      hosts_.back()->number = i;
      hosts_.back()->disk.on_operation = [this](Op op, const Path& path) { slow_down(op, path); };
    }
  }

  SimulationReport run() {
    for (std::uint64_t i = 0; i < options_.steps; ++i) {
      step(*hosts_[random_.below(hosts_.size())]);
    }
    finish();
    return std::move(report_);
  }

 private:
  // ---- the world

  ObjectStore::Capabilities abilities() {
    switch (random_.below(5)) {
      case 0:  // knows no conditions
        return {.conditional_put = false,
                .conditions_proven = false,
                .metadata = true,
                .signs_payload = true};
      case 1:  // as a directory
        return {.conditional_put = true,
                .conditions_proven = true,
                .metadata = false,
                .signs_payload = false};
      default:
        return {.conditional_put = true,
                .conditions_proven = true,
                .metadata = true,
                .signs_payload = true};
    }
  }

  SimSettings make_settings() {
    SimSettings settings;
    settings.segment.format = static_cast<OutputFormat>(random_.below(3));
    settings.segment.block_bytes = static_cast<std::uint32_t>(random_.between(1, 8)) * 1024;
    settings.segment.destination = "s3://simulated";
    settings.segment.prefix = "events/";
    settings.segment.quarantine_prefix = "quarantine/";
    settings.queue_capacity = random_.between(1, 6);
    settings.spooler.segment_run_bytes = random_.between(1, 40) * 1000;
    settings.spooler.segment_age = seconds(random_.between(1, 20));
    settings.spooler.sync_bytes = random_.between(1, 64) * 1000;
    settings.rotator.segment_allocate_bytes = random_.one_in(2) ? 0 : 64 * kKiB;
    settings.rotator.segments_admitted_max = random_.between(1, 16);
    settings.rotator.scan_step_bytes = random_.between(1, 64) * 1024;
    settings.rotator.disk.bytes_max = random_.one_in(3) ? 2 * kMiB : kGiB;
    settings.upload.concurrency = random_.between(1, 8);
    settings.upload.part_bytes = random_.between(1, 40) * 1000;
    settings.upload.failures_to_postpone = static_cast<std::uint32_t>(random_.between(2, 10));
    if (options_.stream == Stream::logs) {
      settings.stream = Stream::logs;
      settings.segment.format = OutputFormat::jsonl;
      settings.log.bytes_max = random_.one_in(2) ? random_.between(1, 100) * 1000 : 0;
      settings.rotator.keeps_locally = random_.one_in(4);
    }
    return settings;
  }

  void slow_down(Op op, const Path& path) {
    const bool slow = op == Op::sync || op == Op::sync_directory;
    if (slow && remote_.weather.faulty && random_.one_in(300)) {
      clock_.advance(seconds(random_.between(1, 60)));
      ++report_.counts["slow syncs"];
      trace_.say(0, "slow sync of " + path.string());
    }
  }

  // ---- what happens

  void step(Host& host) {
    if (host.process == nullptr) {
      start(host);
    } else {
      const std::uint64_t roll = random_.below(1000);
      if (roll < 30) {
        host.process->connect();
      } else if (roll < 300) {
        host.process->read_some();
      } else if (roll < 930) {
        (void)host.process->turn();
      } else if (roll < 987) {
        let_time_pass(host);
      } else {
        mishap(host);
      }
    }
    look_after(host);
  }

  void let_time_pass(Host& host) {
    const std::uint64_t kind = random_.below(20);
    if (kind == 0) {
      clock_.advance(minutes(random_.below(10)));
    } else if (kind < 8) {
      clock_.advance(milliseconds(random_.below(1500)));
    } else {
      const MonotonicTime at = std::min(host.process->wake_at(), clock_.now() + seconds(2));
      clock_.advance(std::max(at - clock_.now(), std::chrono::nanoseconds(0)));
    }
  }

  void mishap(Host& host) {
    switch (random_.below(14)) {
      case 0:
      case 1:
        return fail_disk(host);
      case 2:
        return fill_disk(host);
      case 3:
      case 4:
        return host.disk.set_capacity(std::nullopt);
      case 5:
        count(host, "kills");
        return die(host, Death::kill);
      case 6:
        host.dying = random_.one_in(2) ? Death::kill : Death::power;
        count(host, host.dying == Death::kill ? "kills" : "power cuts");
        return host.disk.power_off_after(random_.below(60) + 1);
      case 7:
        count(host, "egress rebuilt");
        return host.process->rebuild_egress();
      case 8:
        count(host, "drains");
        return host.process->begin_drain();
      case 9:
        if (host.process->draining()) {
          count(host, "drain timeouts");
          host.process->give_up_draining();
        }
        return;
      case 10:
        return clock_steps();
      case 11:
        return random_.one_in(2) ? back_up(host) : restore(host);
      case 12:
        return second_instance(host);
      default:
        return host.process->seal_now();
    }
  }

  void start(Host& host) {
    if (random_.one_in(8)) {  // dies in recovery, or in the start
      host.dying = random_.one_in(2) ? Death::kill : Death::power;
      count(host, host.dying == Death::kill ? "kills" : "power cuts");
      count(host, "deaths at start");
      host.disk.power_off_after(random_.below(80) + 1);
    }
    SimSettings settings = settings_;
    settings.strict = mixture_ != Mixture::no_other_version &&
                      remote_.abilities.conditions_proven && remote_.abilities.metadata &&
                      random_.one_in(4);
    count(host, settings.strict ? "starts of another version" : "starts");
    host.process = std::make_unique<SimProcess>(world_of(host), settings);
    if (!host.process->refusal().empty()) {
      trace_.say(host.number, "refused to start: " + host.process->refusal());
      if (!host.disk.powered_off()) {
        die(host, Death::kill);
      }
    }
  }

  SimProcess::World world_of(Host& host) {
    return {.host = host.number,
            .disk = host.disk,
            .clock = clock_,
            .remote = remote_,
            .random = random_,
            .trace = trace_,
            .documents = documents_};
  }

  // What follows from the state that a step left.
  void look_after(Host& host) {
    if (host.process == nullptr) {
      return;
    }
    if (host.disk.powered_off()) {
      die(host, host.dying);
    } else if (host.process->failed()) {
      count(host, "ingest failures");
      die(host, Death::kill);
    } else if (host.process->ended()) {
      count(host, "clean ends");
      die(host, Death::kill);
    }
  }

  void die(Host& host, Death how) {
    if (host.process != nullptr) {
      report_.counts["egress failures"] += host.process->egress_failures();
      report_.counts["segments abandoned"] += host.process->books().segments_abandoned.load();
      // A dead disk reads like a damaged one.
      if (!host.disk.powered_off() && host.process->books().bytes_damaged.load() != 0) {
        complain("host " + std::to_string(host.number) + " found damage where there is none");
      }
      report_.counts["objects found"] += host.process->books().objects_found_done.load();
    }
    trace_.say(host.number, how == Death::power ? "the power goes" : "the process ends");
    host.process.reset();
    host.dying = Death::none;
    host.a_read_fails = false;
    how == Death::power ? host.disk.restart(random_.next()) : host.disk.resume();
  }

  void fail_disk(Host& host) {
    constexpr std::array kOps{Op::write, Op::write, Op::sync,   Op::sync,   Op::sync_directory,
                              Op::open,  Op::read,  Op::rename, Op::unlink, Op::link};
    FaultFilesystem::Fault fault;
    fault.op = kOps[random_.below(kOps.size())];
    fault.after = random_.below(20);
    fault.times = random_.one_in(6) ? random_.between(3, 100) : random_.between(1, 2);
    fault.code = random_.one_in(4) ? ENOSPC : EIO;
    if (fault.op == Op::write && random_.one_in(3)) {
      fault.code = 0;  // short
      fault.bytes = random_.between(1, 700);
    }
    if (fault.op == Op::read) {
      fault.times = std::exchange(host.a_read_fails, true) ? 0 : 1;
      fault.code = EIO;
    }
    count(host, "disk faults");
    host.disk.fail(fault);
  }

  void fill_disk(Host& host) {
    count(host, "full disks");
    const auto space = host.disk.space("/spool");
    host.disk.set_capacity(space->bytes_total - space->bytes_available + random_.below(64 * kKiB));
  }

  // The wall clock alone: a day either way.
  void clock_steps() {
    ++report_.counts["clock steps"];
    clock_.step_wall(std::chrono::hours(random_.one_in(2) ? 24 : -24));
  }

  // Of a spool that is being written, but not while a segment waits to be cut off by its side seal:
  // what it holds beyond that is in the next one too (docs/operations.md, "Backups of the spool").
  void back_up(Host& host) {
    if (!host.process->writes_well()) {
      return;
    }
    constexpr std::size_t kBackupsKept = 3;
    count(host, "backups");
    Host::Backup& backup = host.backups.emplace_back();
    backup.image = host.disk.save();
    backup.made_at = clock_.wall_now();
    for (const SimDocument& document : documents_.all()) {
      backup.acked.push_back(document.acked);
    }
    if (host.backups.size() > kBackupsKept) {
      host.backups.pop_front();
    }
  }

  // Of what was acknowledged since, only what the store has by now is safe.
  void restore(Host& host) {
    if (host.backups.empty() || mixture_ == Mixture::no_restore) {
      return;
    }
    die(host, Death::kill);
    count(host, "backups restored");
    const Host::Backup& backup = host.backups[random_.below(host.backups.size())];
    host.disk.load(*backup.image);
    for (SimDocument& document : documents_.all()) {
      const bool held = document.number < backup.acked.size() && backup.acked[document.number];
      document.forgiven |= document.host == host.number && !held;
    }
    clock_.advance(minutes(20));  // nobody is quicker
    if (random_.one_in(2)) {      // a snapshot of the machine, its clock included
      clock_.step_wall(backup.made_at - clock_.wall_now());
    }
  }

  void second_instance(Host& host) {
    count(host, "second instances");
    SimProcess second(world_of(host), settings_);
    if (second.refusal().empty() && !host.disk.powered_off()) {
      complain("a second instance started on the spool of host " + std::to_string(host.number));
    }
  }

  // ---- the end

  void finish() {
    trace_.say(0, "the weather clears");
    remote_.clear_up();
    for (auto& host : hosts_) {
      if (host->dying != Death::none) {
        die(*host, host->dying);
      }
      host->disk.clear_faults();
      host->disk.set_capacity(std::nullopt);
    }
    drain_all(Left::parked);
    drain_all(Left::nothing);
    const std::size_t objects = remote_.objects.size();
    drain_all(Left::nothing);
    if (remote_.objects.size() != objects) {
      complain("a start on a drained spool stored something");
    }
    std::vector<FaultFilesystem*> disks;
    for (auto& host : hosts_) {
      disks.push_back(&host->disk);
    }
    auto wrong = judge(remote_, disks, documents_, settings_.segment,
                       !settings_.rotator.keeps_locally, report_.counts);
    report_.violations.insert(report_.violations.end(), wrong.begin(), wrong.end());
    count_store();
  }

  // What a drain may leave: segments that are parked wait for nobody.
  enum class Left : std::uint8_t { parked, nothing };

  void drain_all(Left left) {
    for (auto& host : hosts_) {
      if (host->process == nullptr || !host->process->refusal().empty()) {
        host->process = std::make_unique<SimProcess>(world_of(*host), settings_);
      }
      const std::string name = "host " + std::to_string(host->number);
      if (!host->process->refusal().empty()) {
        complain(name + " does not start: " + host->process->refusal());
        continue;
      }
      switch (drain(*host->process, clock_)) {
        case Drained::ended:
          check_books(*host, left);
          break;
        case Drained::failed:
          complain("ingest of " + name + " failed in fine weather");
          break;
        case Drained::stuck:
          complain("the spool of " + name + " did not drain in six hours of fine weather");
          break;
      }
      die(*host, Death::kill);
    }
  }

  void check_books(const Host& host, Left left) {
    const Books& books = host.process->books();
    const BooksDifference difference = difference_of(books);
    const bool durable = books.bytes_batched.load() ==
                         books.bytes_in_records.load() + books.bytes_dropped_unacked.load();
    if (difference.bytes != 0 || difference.pieces != 0 || !durable) {
      complain("the books of host " + std::to_string(host.number) + " do not balance: " +
               std::to_string(difference.bytes) + " bytes, " + std::to_string(difference.pieces) +
               " pieces" + (durable ? "" : ", batched and durable bytes differ"));
    }
    if (books.bytes_over_room.load() != 0) {
      complain("blocks of host " + std::to_string(host.number) + " took " +
               std::to_string(books.bytes_over_room.load()) + " bytes more than their room");
    }
    if (left == Left::nothing && books.pieces_in_spool.load() != 0) {
      complain("pieces are left in the spool of host " + std::to_string(host.number));
    }
  }

  void count_store() {
    const RemoteStore::Counts& store = remote_.counts;
    report_.counts["store requests"] += store.requests;
    report_.counts["store faults"] += store.faults;
    report_.counts["answers lost"] += store.lost_answers;
    report_.counts["requests late"] += store.late;
    report_.counts["requests doubled"] += store.twice;
    report_.counts["requests of the dead"] += store.after_death;
    report_.counts["denials"] += store.denials;
    report_.counts["refused keys"] += store.refused_keys;
    report_.counts["multipart uploads"] += store.multipart;
    report_.counts["conditions met"] += store.conditions_met;
  }

  void count(const Host& host, const std::string& what) {
    ++report_.counts[what];
    trace_.say(host.number, what);
  }
  void complain(std::string what) { report_.violations.push_back(std::move(what)); }

  const SimulationOptions options_;
  SimulationReport report_;
  ManualClock clock_;
  SimRandom random_;
  SimTrace trace_;
  RemoteStore remote_;
  Documents documents_;
  const SimSettings settings_;
  const Mixture mixture_;
  std::vector<std::unique_ptr<Host>> hosts_;
};

}  // namespace

SimulationReport simulate(const SimulationOptions& options) {
  log::set_level(options.trace ? log::Level::debug : log::Level::error);
  return Simulation(options).run();
}

}  // namespace sluice::simulation
