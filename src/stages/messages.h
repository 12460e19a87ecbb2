// Every message of the pipeline, in flow order.
//
//          replies: Reply
//         ┌───────────────◄─────────────┐
//         ▼                             │
//  ───► Receive ══ Chunk ══► Frame ══ Batch ══► Spool ══► disk: segments
//       sockets              documents          group commit     │ FinishedSegment (a hint)
//  ─────────────────────── durable from here on ─────────────────┼──────────
//                                                                ▼
//  ◄─── Upload ◄═ ConvertedBlock ═ Convert ◄═ ValidatedBlock ═ Validate ◄═ Block ═ Rotate
//       S3 | directory │ xml, json, jsonl     well-formed?                         ▲ seal, prepare
//                      └───────────────────── SegmentOutcome ──────────────────────┘
//
// A message owns its memory and the charge for it. All are move-only, and default-constructible
// because queues need that.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/base/buffer.h"
#include "common/base/ids.h"
#include "common/base/memory_budget.h"
#include "common/base/piece.h"
#include "common/base/units.h"
#include "common/net/peer_address.h"
#include "common/net/rate_limiter.h"
#include "common/platform/filesystem.h"
#include "common/spool/segment_format.h"
#include "common/spool/segment_settings.h"
#include "common/xml/event_tape.h"

namespace sluice {

// ---- ingest: Receive -> Frame -> Spool ----------------------------------------------------------

// How a connection came to its end, as Receive saw it.
enum class ConnectionEnd : std::uint8_t {
  open,       // it has not
  finished,   // the peer's FIN was read: answered with FIN once all before it is durable
  reset,      // reset, or found dead by keepalive
  timed_out,  // a deadline or the minimum rate
  refused,    // what it sent is not of the protocol at all
  shutdown,   // we are stopping
};

std::string_view to_string(ConnectionEnd end);

// What is spoken on a listener.
enum class Protocol : std::uint8_t {
  xml,   // documents; never a byte back, FIN says that all is durable
  logs,  // lines, each answered by a verdict once it is durable
  rpc,   // requests, answered from Frame; nothing is spooled
};

std::string_view to_string(Protocol protocol);

// What the ingest stages share of one connection. Receive makes it; it lives as long as any
// message.
struct Connection {
  ConnectionId id = 0;
  PeerAddress peer;
  Protocol protocol = Protocol::xml;
  std::uint32_t receiver = 0;  // index of the Receive thread that owns the socket
  MonotonicTime opened_at{};
  // Set before its first chunk.
  std::string client_name;    // of its certificate; "" without one
  RateLimiter::Key rate_key;  // under which its events are counted

  // Written by Frame, read by Receive: bytes of a piece that is still being framed.
  std::atomic<std::uint64_t> bytes_framing{0};
  // Written by Frame: Receive closes the connection (reset) when it sees it.
  std::atomic<bool> refuse{false};
  // Of chunks that Receive made and that are neither framed nor, of those that end something,
  // durable, of logs and rpc answered; as InFlight counts them.
  std::atomic<std::uint64_t> bytes_in_flight{0};
  // Written by Frame, for the log and the books.
  std::atomic<std::uint64_t> events{0};
  std::atomic<std::uint64_t> malformed{0};
  // And those that ended and are not kept: filtered, over a limit, answered with an error. Whoever
  // ends pieces is not slow, whatever becomes of them.
  std::atomic<std::uint64_t> refused{0};
};
using ConnectionPtr = std::shared_ptr<Connection>;

// Of one connection that gets replies, reading waits while so many bytes are in flight: what lies
// between others and their answers, where one client floods.
inline constexpr std::uint64_t kAnsweredBytesMax = 512 * kKiB;
// A chunk counts as so many bytes at least, for what it costs besides them.
inline constexpr std::uint64_t kChunkBytesCountedMin = 16 * kKiB;
// Chunks that may be in flight at a time, therefore; each may be framed into two batches, as what
// was left of those before it is cut by its bytes.
inline constexpr std::size_t kAnsweredChunksMax = kAnsweredBytesMax / kChunkBytesCountedMin;

// Counts a chunk of `bytes` as in flight for as long as it lives, wherever it is dropped.
class InFlight {
 public:
  InFlight() = default;
  InFlight(ConnectionPtr connection, std::size_t bytes)
      : connection_(std::move(connection)),
        counted_(std::max<std::uint64_t>(bytes, kChunkBytesCountedMin)) {
    connection_->bytes_in_flight.fetch_add(counted_);
  }
  InFlight(InFlight&&) noexcept = default;
  InFlight& operator=(InFlight&& other) noexcept {
    std::swap(connection_, other.connection_);
    std::swap(counted_, other.counted_);
    return *this;
  }
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;
  ~InFlight() {
    if (connection_ != nullptr) {
      connection_->bytes_in_flight.fetch_sub(counted_);
    }
  }

 private:
  ConnectionPtr connection_;
  std::uint64_t counted_ = 0;
};

// Receive -> Frame, lane = connection id % lanes. Bytes of one connection as one read gave them;
// the last one of a connection has an end.
struct Chunk {
  ConnectionPtr connection;
  Buffer bytes;  // a slice of a slab
  // bytes.size() of budget: what Frame may copy of an unfinished tail; of rpc answer_bytes_max of
  // it
  Charge carry;
  WallTime received_at{};
  ConnectionEnd end = ConnectionEnd::open;
  // Goes on with the first batch that has replies, of xml with the last batch; of rpc with the last
  // reply.
  InFlight in_flight;
};

// Frame -> Spool. Whole pieces of one connection, in order; or only its end.
struct Batch {
  ConnectionPtr connection;
  std::vector<Buffer> run;  // the pieces and the separators between them, as received
  std::uint32_t run_bytes = 0;
  std::vector<Piece> pieces;                // begin counts from the start of the run; ascending
  std::uint32_t events = 0;                 // pieces of kind event
  WallTime first_byte_at{};                 // when the first byte of the run was received
  ConnectionEnd end = ConnectionEnd::open;  // Spool answers it once all before it is durable
  // To be answered once all before it is durable: a LogVerdict a byte, for each line of the run and
  // those between that are not kept.
  std::string replies;
  Charge replies_charge;  // for it, also when it is a Reply
  InFlight in_flight;     // with replies, and of xml
};

// A request to Spool: seal what there is now. `drain`: and do not begin another segment.
struct SealNow {
  bool drain = false;
};

// A request to Spool: the log file may have been moved away (SIGHUP).
struct ReopenLog {};

using SpoolInput = std::variant<std::monostate, Batch, SealNow, ReopenLog>;

// Spool -> Receive, one queue a Receive thread; of an rpc pipeline Frame -> Receive.
struct Reply {
  ConnectionPtr connection;
  std::string bytes;                        // of rpc as they are; of logs a LogVerdict each
  ConnectionEnd end = ConnectionEnd::open;  // answered: close the socket
  bool durable = false;                     // with `finished`: FIN if true, RST if not
  Charge charge{};                          // for `bytes`
  InFlight in_flight{};
};

// ---- the disk -----------------------------------------------------------------------------------

// Spool -> Rotate; may be lost: the directory is the truth.
struct FinishedSegment {
  SegmentId id;
  Stream stream = Stream::xml;
  std::unique_ptr<File> file;  // synced up to summary.bytes; empty where the queue was full
  SegmentSummary summary;      // counts, digest and end of what was written
  bool abandoned = false;      // already sealed by a side file, cut at the last durable offset
  std::string reason;          // "size", "age", "request", "drain", "watermark", "fault"
};

// Rotate -> Spool: an empty segment, its header durable and its directory entry too.
struct PreparedSegment {
  SegmentId id;
  std::unique_ptr<File> file;
};

// ---- egress: Rotate -> Validate -> Convert -> Upload --------------------------------------------

// A sealed segment on its way through egress. Immutable while blocks of it are about.
struct SealedSegment {
  SegmentId id;
  Stream stream = Stream::xml;
  Path path;
  std::unique_ptr<File> file;               // pread only, from any thread
  SegmentHeader header;                     // with the spool's secret and uuid
  SegmentSettings settings;                 // parsed from the header
  SegmentSeal seal;                         // counts, digest, kept ranges
  std::optional<RejectList> known_rejects;  // from .rejects: decided by an earlier run
  bool found_at_start = false;  // by this process: its keys are looked up before the first PUT
  // Earlier processes died of it too often: nobody looks into it, the segment itself is uploaded
  // (common/spool/segment_image.h) and then set aside.
  bool raw = false;
};
using SealedSegmentPtr = std::shared_ptr<const SealedSegment>;

// The condition under which Rotate, and then Upload, says what becomes of a segment of which the
// process died.
std::string crashing_condition(const SegmentId& id);

// Rotate -> Validate, in (segment, index) order. A run of whole records, about block_bytes; of a
// raw segment a part of its image.
struct Block {
  SealedSegmentPtr segment;
  std::uint32_t index = 0;
  bool last = false;        // of its segment
  std::uint64_t begin = 0;  // file offset of the first record header
  std::uint64_t end = 0;    // file offset behind the last record
  Charge room;              // the worst case of all that later stages need for this block
};

// A piece that does not go into the object, with its exact bytes.
struct RejectedPiece {
  std::uint64_t sequence = 0;
  std::string bytes;
  std::string reason;      // one line, no event content
  std::uint32_t line = 0;  // 1-based within the piece, 0 unknown
  std::uint32_t column = 0;
  PeerAddress peer;
  WallTime received_at{};
  bool continues = false;  // the next piece of this connection goes on where this one stops
};

// What they take until their objects are confirmed: themselves, and what Upload makes of them.
std::size_t memory_of(const std::vector<RejectedPiece>& rejected);

// Validate -> Convert.
struct ValidatedBlock {
  SealedSegmentPtr segment;
  std::uint32_t index = 0;
  bool last = false;
  // The block's bytes as read from disk; the tape points here. Of a raw segment: of its image.
  Buffer source;
  EventTape tape;                       // the accepted events, in order
  std::vector<RejectedPiece> rejected;  // in order
  std::uint64_t pieces = 0;             // events and malformed runs that the block held
  std::uint64_t damaged_bytes = 0;      // did not verify any more: counted, the segment is kept
  Charge room;
};

// Convert -> Upload, in any order.
struct ConvertedBlock {
  SealedSegmentPtr segment;
  std::uint32_t index = 0;
  bool last = false;
  // The events, joined and compressed as whole gzip members or zstd frames; empty without events.
  // Of a raw segment the part of its image.
  Buffer body;
  std::uint64_t uncompressed_bytes = 0;
  std::uint64_t events = 0;
  std::vector<RejectedPiece> rejected;
  std::uint64_t pieces = 0;
  std::uint64_t damaged_bytes = 0;
  Charge room;  // body and rejected
};

// Upload -> Rotate: what became of an admitted segment.
struct SegmentOutcome {
  enum class Kind : std::uint8_t {
    done,       // every object confirmed, the segment unlinked
    postponed,  // gave its memory back, or was parked: admit it again, after the others
    parked,     // only its quarantine prefix refuses: not again before it is postponed
    set_aside,  // moved to the spool's quarantine
  };
  SegmentId id;
  Stream stream = Stream::xml;
  Kind kind = Kind::done;
};

// Upload -> Rotate, beside the outcomes: how many blocks Upload had taken when it last found that
// it can send nothing before it gets more of them; kUploadBusy while it can. Where that is all that
// Rotate dispatched, waiting for memory would be waiting for ever.
using UploadStarvedAfter = std::atomic<std::uint64_t>;
inline constexpr std::uint64_t kUploadBusy = ~std::uint64_t{0};

// A request to Rotate: once every segment is through egress, end (DRAIN).
struct DrainEgress {};

// What wakes Rotate.
using RotateInput = std::variant<std::monostate, FinishedSegment, SegmentOutcome, DrainEgress>;

}  // namespace sluice
