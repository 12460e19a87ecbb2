// The part of `sluice check` that goes the way to the store and asks it for what an upload needs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "commands/check.h"
#include "common/http/curl_client.h"
#include "common/platform/clock.h"
#include "common/s3/multipart_probe.h"
#include "common/s3/refreshing_credentials.h"
#include "common/s3/store_probe.h"

namespace sluice {

// Blocks for up to about a minute and a half.
std::vector<CheckLine> check_store(const Config& config, Filesystem& filesystem);

// ---- the parts, pure

// DNS, TLS and the first answer, of a request that nobody signed.
std::vector<CheckLine> judge_connection(const HttpOutcome& outcome, const std::string& url,
                                        WallTime now);
// The store's clock, by the Date of its answer, against ours.
CheckLine judge_clock(std::optional<WallTime> date, WallTime now);
// Which link of the chain gave the credentials, for whom and until when; or what each link said.
std::vector<CheckLine> judge_credentials(const CredentialReport& report);
std::vector<CheckLine> judge_probes(const std::vector<PrefixProbe>& probes,
                                    const std::string& store);
std::vector<CheckLine> judge_multipart(const std::vector<MultipartProbe>& probes);

}  // namespace sluice
