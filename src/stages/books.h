// Books: what each stage counts of one stream. Every counter has one meaning and only grows, but
// for those named as gauges; /status and /metrics read them. Relaxed atomics: each
// is exact, a set of them is exact when the pipeline is at rest.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace sluice {

struct Books {
  using Counter = std::atomic<std::uint64_t>;

  // Receive
  Counter connections_opened{0};
  Counter connections_closed{0};
  Counter connections_refused{0};  // by limit
  Counter bytes_received{0};
  Counter bytes_transport{0};  // of them PROXY headers and token lines

  // Frame
  Counter bytes_framing{0};     // gauge: of pieces begun and not ended
  Counter bytes_separators{0};  // between documents and outside any record
  Counter bytes_refused{0};     // not kept: over-long events past their sample, no XML at all,
                                // no rpc request
  Counter bytes_batched{0};     // in the runs of batches
  Counter events_framed{0};
  Counter malformed_framed{0};
  Counter bytes_answered{0};      // of rpc requests; they go into no batch
  Counter rpc_requests{0};        // answered
  Counter rpc_malformed{0};       // bad bytes, or cut by the end of the connection
  Counter lines_filtered{0};      // logs: below MIN_LOG_LEVEL, or of no known level
  Counter lines_invalid{0};       // logs: answered with an error, not kept
  Counter lines_rate_limited{0};  // logs: over the rate limit, not kept

  // Spool
  Counter batches_spooled{0};
  Counter bytes_in_records{0};  // durable run bytes
  Counter events_durable{0};
  Counter malformed_durable{0};
  Counter bytes_dropped_unacked{0};  // not durable when we had to end: RST, never acked
  Counter pieces_dropped_unacked{0};
  Counter group_commits{0};
  Counter sync_nanoseconds{0};
  Counter segments_switched{0};
  Counter segments_abandoned{0};

  // Rotate
  Counter pieces_found_at_start{0};  // opening balance
  Counter pieces_in_spool{0};        // gauge: durable and in a segment that still exists
  Counter segments_in_spool{0};      // gauge: sealed or waiting for it, not the one being written
  Counter bytes_on_disk{0};          // gauge: everything under SPOOL_DIR that the budget counts
  Counter bytes_torn{0};
  Counter bytes_damaged{0};
  Counter pieces_lost_to_damage{0};  // sealed, but their record verifies no more
  Counter pieces_kept_locally{0};    // in the log file, where nothing is uploaded

  // Validate, Convert
  Counter events_validated{0};
  Counter events_rejected{0};
  Counter bytes_converted{0};  // uncompressed
  Counter bytes_over_room{0};  // that blocks took beyond what Rotate had charged: 0, or a bug

  // Upload: of confirmed objects only
  Counter objects_uploaded{0};
  Counter objects_found_done{0};  // the store already held them
  Counter bytes_uploaded{0};
  Counter events_uploaded{0};
  Counter pieces_quarantined{0};
  Counter segments_done{0};
  Counter pieces_set_aside{0};  // in segments moved to the spool's quarantine
  Counter upload_attempts{0};
  Counter upload_retries{0};
};

// What a block may take of the `room` bytes that are left of its own: all that it needs, or else
// the difference is counted.
inline std::size_t within_room(std::size_t needed, std::size_t room, Books& books) {
  if (needed > room) {
    books.bytes_over_room.fetch_add(needed - room, std::memory_order_relaxed);
  }
  return needed < room ? needed : room;
}

}  // namespace sluice
