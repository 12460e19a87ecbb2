#include "simulation/sim_process.h"

#include <unistd.h>

#include <algorithm>

#include "common/base/check.h"
#include "common/spool/segment_reader.h"

namespace sluice::simulation {
namespace {

constexpr std::size_t kPreparedMax = 4;

bool stricter_refuses(std::string_view piece) {
  return piece.find(kStrictMark) != std::string_view::npos ||
         piece.find(kRefusedMark) != std::string_view::npos;
}

}  // namespace

SimProcess::Egress::Egress(SimProcess& process)
    : memory(process.settings_.egress_bytes),
      store(process.world_.remote, process.world_.host, [&process] { return process.halted(); }),
      blocks(process.settings_.queue_capacity),
      validated(process.settings_.queue_capacity),
      converted(process.settings_.queue_capacity),
      ledger(process.world_.disk, process.world_.clock, {"/spool"}) {
  rotator.emplace(
      process.settings_.rotator,
      Rotator::Links{*process.spool_, *process.stream_, process.prepared_, memory, process.books_,
                     process.conditions_, process.pause_reading_, starved_after});
  for (int i = 0; i < 2; ++i) {
    validators.push_back(std::make_unique<Validator>(process.books_));
    converters.push_back(std::make_unique<Converter>(process.books_));
  }
  UploadOptions options = process.settings_.upload;
  options.seed = process.world_.random.next();
  options.stop = &stop;
  options.converter_version = kConverterVersion + (process.settings_.strict ? 1 : 0);
  options.leftover_prefixes = {process.settings_.segment.prefix,
                               process.settings_.segment.quarantine_prefix};
  uploader.emplace(options, Uploader::Outside{store, *process.stream_, ledger, process.books_,
                                              process.conditions_, process.world_.clock,
                                              starved_after, process.object_ratio_});
}

SimProcess::SimProcess(World world, SimSettings settings)
    : world_(world),
      settings_(std::move(settings)),
      ingest_memory_(settings_.ingest_bytes),
      prepared_(kPreparedMax),
      batches_(settings_.queue_capacity),
      rotate_in_(settings_.queue_capacity) {
  SpoolDirectory::Options options;
  options.path = "/spool";
  options.destination = settings_.segment.destination;
  options.owner = static_cast<std::uint32_t>(::geteuid());
  options.random = [this] { return world_.random.next(); };
  auto opened = SpoolDirectory::open(world_.disk, world_.clock, options);
  if (auto* refusal = std::get_if<SpoolRefusal>(&opened)) {
    refusal_ = refusal->error.message;
    return;
  }
  spool_ = std::move(std::get<0>(opened));
  SegmentSettings segment = settings_.segment;
  segment.instance = spool_->format().instance;
  segment.converter_version = kConverterVersion + (settings_.strict ? 1 : 0);
  auto stream = spool_->stream(settings_.stream, segment);
  if (!stream) {
    refusal_ = stream.error().message;
    return;
  }
  stream_ = std::move(*stream);
  for (std::size_t i = 0; i < settings_.lanes; ++i) {
    lanes_.push_back(std::make_unique<SimQueue<Chunk>>(settings_.queue_capacity));
    if (settings_.stream == Stream::xml) {
      framers_.push_back(std::make_unique<Framer>(FrameOptions{}, books_));
    } else {
      log_framers_.push_back(
          std::make_unique<LogFramer>(LogFrameOptions{}, LogFramer::Links{world_.clock, books_}));
    }
  }
  if (settings_.stream == Stream::logs) {
    log_.emplace(*stream_, settings_.log);
    if (const Status begun = log_->begin(); !begun) {
      refusal_ = begun.error().message;
      return;
    }
  }
  spooler_.emplace(settings_.spooler,
                   Spooler::Links{*stream_, prepared_, books_, conditions_,
                                  [this](Reply reply) { hear(std::move(reply)); }, pause_reading_,
                                  draining_, object_ratio_, log_ ? &*log_ : nullptr});
  egress_ = std::make_unique<Egress>(*this);
}

SimProcess::~SimProcess() = default;

// ---- Receive ------------------------------------------------------------------------------------

void SimProcess::connect() {
  if (draining_.load()) {
    return;
  }
  clients_.push_back(make_client(world_.documents, world_.random, world_.host, ++connections_));
}

// One read of one connection, or its end.
void SimProcess::read_some() {
  if (clients_.empty() || draining_.load()) {
    return;
  }
  SimClient& client = clients_[world_.random.below(clients_.size())];
  if (client.over || client.end_sent) {
    return;
  }
  if (client.connection->refuse.load()) {
    return send_end(client, ConnectionEnd::refused);
  }
  if (client.sent == client.stream.size()) {
    return send_end(client, client.end);
  }
  SimQueue<Chunk>& lane = *lanes_[client.connection->id % lanes_.size()];
  if (pause_reading_.load() || !lane.has_room()) {
    return;
  }
  const std::size_t left = client.stream.size() - client.sent;
  const std::size_t wanted =
      world_.random.one_in(4) ? world_.random.between(1, 3) : world_.random.between(1, 4096);
  const std::size_t bytes = std::min(left, wanted);
  auto memory = ingest_memory_.try_charge(bytes);
  auto carry = ingest_memory_.try_charge(bytes);
  if (!memory || !carry) {
    return;
  }
  Chunk chunk;
  chunk.connection = client.connection;
  chunk.bytes = Buffer::copy_of(
      as_bytes(std::string_view(client.stream).substr(client.sent, bytes)), std::move(*memory));
  chunk.carry = std::move(*carry);
  chunk.received_at = world_.clock.wall_now();
  chunk.in_flight = InFlight(client.connection, chunk.bytes.size());
  client.sent += bytes;
  books_.bytes_received += bytes;
  lane.push(std::move(chunk));
}

void SimProcess::send_end(SimClient& client, ConnectionEnd end) {
  if (client.sent == 0) {
    // Nothing of it went down, so nothing has to become durable before the answer.
    client.end_sent = true;
    return hear({client.connection, {}, end, true, {}, {}});
  }
  push_end(client, end);
}

void SimProcess::push_end(SimClient& client, ConnectionEnd end) {
  client.end_sent = true;
  Chunk last;
  last.connection = client.connection;
  last.received_at = world_.clock.wall_now();
  last.end = end;
  last.in_flight = InFlight(client.connection, 0);
  lanes_[client.connection->id % lanes_.size()]->push(std::move(last));
}

// FIN if and only if the sender's FIN was read and all before it is durable.
void SimProcess::hear(Reply reply) {
  if (halted()) {
    return;
  }
  const auto client = std::find_if(
      clients_.begin(), clients_.end(),
      [&](const SimClient& candidate) { return candidate.connection == reply.connection; });
  CHECK_THAT(client != clients_.end());
  hear_verdicts(*client, reply.bytes);
  if (reply.end == ConnectionEnd::open) {
    return;
  }
  client->over = true;
  const bool fin = reply.end == ConnectionEnd::finished && reply.durable;
  say("connection " + std::to_string(client->connection->id) + (fin ? ": FIN" : ": RST") +
      (client->documents.empty() ? std::string()
                                 : " for documents " + std::to_string(client->documents.front()) +
                                       " to " + std::to_string(client->documents.back())));
  for (const std::uint64_t number : client->documents) {
    world_.documents.all()[number].acked |= fin && settings_.stream == Stream::xml;
  }
  if (fin && settings_.stream == Stream::logs && client->answered != client->documents.size()) {
    world_.documents.wrong_replies.push_back("connection " +
                                             std::to_string(client->connection->id) + " got " +
                                             std::to_string(client->answered) + " replies for " +
                                             std::to_string(client->documents.size()) + " lines");
  }
  clients_.erase(client);
}

// One for each line, in order.
void SimProcess::hear_verdicts(SimClient& client, const std::string& verdicts) {
  for (const char code : verdicts) {
    const auto verdict = static_cast<LogVerdict>(code);
    if (client.answered == client.documents.size()) {
      world_.documents.wrong_replies.push_back("a reply for no line");
      return;
    }
    SimDocument& document = world_.documents.all()[client.documents[client.answered++]];
    if (verdict != document.verdict) {
      world_.documents.wrong_replies.push_back(marker_of(document.number) + " was told " +
                                               std::string(reply_text(verdict)));
    }
    document.acked |= verdict == LogVerdict::received;
    say(marker_of(document.number) + " answered");
  }
}

// ---- the workers --------------------------------------------------------------------------------

bool SimProcess::turn() { return turn_of(world_.random.below(workers())); }

bool SimProcess::turn_all() {
  bool moved = false;
  for (std::size_t worker = 0; worker < workers() && !failed_ && !ended_; ++worker) {
    moved = turn_of(worker) || moved;
  }
  return moved;
}

bool SimProcess::turn_of(std::size_t worker) {
  if (worker < lanes_.size()) {
    return turn_frame(worker);
  }
  switch (worker - lanes_.size()) {
    case 0:
      return turn_spool();
    case 1:
      return turn_rotate();
    case 2:
    case 3:
      return turn_validate(*egress_->validators[worker - lanes_.size() - 2]);
    case 4:
      return turn_convert(*egress_->converters[world_.random.below(2)]);
    case 5:
      return turn_upload();
    default:
      return turn_drain();
  }
}

void SimProcess::ingest_did(const Status& status) {
  if (!status && !halted()) {
    say("ingest failed: " + status.error().message);
    failed_ = true;
  }
}

void SimProcess::egress_did(const Status& status) {
  if (!status && !halted()) {
    say("egress failed: " + status.error().message);
    ++egress_failures_;
    rebuild_egress();
  }
}

bool SimProcess::turn_frame(std::size_t lane) {
  if (lanes_[lane]->empty() || !batches_.has_room()) {
    return false;
  }
  ingest_did(settings_.stream == Stream::xml
                 ? framers_[lane]->process(lanes_[lane]->pop(), batches_)
                 : log_framers_[lane]->process(lanes_[lane]->pop(), batches_));
  return true;
}

bool SimProcess::turn_spool() {
  if (spool_finished_) {
    return false;
  }
  if (!batches_.empty() && spooler_->wants_input()) {
    ingest_did(spooler_->process(batches_.pop(), link_));
    return true;
  }
  const bool due = spooler_->wake_at() <= world_.clock.now();
  ingest_did(spooler_->on_idle(link_));
  return due;
}

bool SimProcess::turn_rotate() {
  Rotator& rotator = *egress_->rotator;
  if (!rotate_in_.empty()) {
    egress_did(rotator.process(rotate_in_.pop(), egress_->blocks));
    return true;
  }
  const bool due = rotator.wake_at() <= world_.clock.now();
  egress_did(rotator.on_idle(egress_->blocks));
  return due;
}

bool SimProcess::turn_validate(Validator& validator) {
  if (egress_->blocks.empty() || !egress_->validated.has_room()) {
    return false;
  }
  Block block = egress_->blocks.pop_one_of_two(world_.random);
  const Status status = settings_.strict && !block.segment->known_rejects
                            ? validate_strictly(validator, std::move(block))
                            : validator.process(std::move(block), egress_->validated);
  egress_did(status);
  return true;
}

// What another version rejects, the real Validator rejects where it is told that this was decided.
Status SimProcess::validate_strictly(Validator& validator, Block block) {
  const SealedSegmentPtr segment = block.segment;
  RejectList decided;
  Buffer buffer = Buffer::allocate(block.end - block.begin, Charge());
  RecordBlock records;
  if (Status status =
          read_records(*segment->file, segment->header, {block.begin, block.end}, buffer, records);
      !status) {
    return status;
  }
  for (const RecordView& record : records.records) {
    std::uint32_t index = record.header.first_index;
    for (const Piece& piece : record.pieces) {
      if (piece.kind == PieceKind::event &&
          stricter_refuses(as_text(record.run.subspan(piece.begin, piece.length)))) {
        decided.rejects.push_back({.index = index, .reason = "too lax", .line = 1, .column = 1});
      }
      ++index;
    }
  }
  auto stricter = std::make_shared<SealedSegment>();
  stricter->id = segment->id;
  stricter->stream = segment->stream;
  stricter->header = segment->header;
  stricter->settings = segment->settings;
  stricter->seal = segment->seal;
  stricter->known_rejects = std::move(decided);
  auto file = world_.disk.open(segment->path, OpenMode::read);
  if (!file) {
    return file.error();
  }
  stricter->file = std::move(*file);
  block.segment = stricter;
  VectorOutbox<ValidatedBlock> out;
  Status status = validator.process(std::move(block), out);
  for (ValidatedBlock& made : out.items) {
    made.segment = segment;
    egress_->validated.push(std::move(made));
  }
  return status;
}

bool SimProcess::turn_convert(Converter& converter) {
  if (egress_->validated.empty() || !egress_->converted.has_room()) {
    return false;
  }
  VectorOutbox<ConvertedBlock> out;
  const Status status = converter.process(egress_->validated.pop_one_of_two(world_.random), out);
  for (ConvertedBlock& made : out.items) {
    if (settings_.strict && !made.body.empty()) {
      made.body = Buffer::copy_of(as_bytes(std::string(made.body.text()) + "\n"), Charge());
    }
    egress_->converted.push(std::move(made));
  }
  out.items.clear();
  egress_did(status);
  return true;
}

bool SimProcess::turn_upload() {
  if (!egress_->converted.empty()) {
    const Status status = egress_->uploader->process(egress_->converted.pop(), outcomes_);
    egress_did(status);
    return true;
  }
  const bool due =
      std::min(world_.remote.next_at(), egress_->uploader->wake_at()) <= world_.clock.now();
  egress_->uploader->poll(world_.clock.now());
  egress_did(egress_->uploader->on_idle(outcomes_));
  return due;
}

MonotonicTime SimProcess::wake_at() const {
  return std::min({spool_finished_ ? MonotonicTime::max() : spooler_->wake_at(),
                   egress_->rotator->wake_at(), egress_->uploader->wake_at(),
                   world_.remote.next_at()});
}

void SimProcess::seal_now() {
  if (batches_.has_room() && !draining_.load()) {
    batches_.push(SpoolInput(SealNow{}));
  }
}

// Call it when nothing that egress made is alive any more: not within a call of one of its workers.
// As after a failure: what its queues held is lost, also what Spool had told it.
void SimProcess::rebuild_egress() {
  while (!rotate_in_.empty()) {
    (void)rotate_in_.pop();
  }
  egress_.reset();
  egress_ = std::make_unique<Egress>(*this);
  drain_asked_ = false;
}

}  // namespace sluice::simulation
