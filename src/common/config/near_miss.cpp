#include "common/config/near_miss.h"

#include <algorithm>
#include <array>
#include <set>

#include "common/config/settings.h"
#include "common/config/value_text.h"

namespace sluice {

namespace {

std::set<std::string_view> words_of(std::string_view name) {
  std::set<std::string_view> words;
  while (!name.empty()) {
    const std::size_t end = std::min(name.find('_'), name.size());
    if (end > 0) {
      words.insert(name.substr(0, end));
    }
    name.remove_prefix(std::min(end + 1, name.size()));
  }
  return words;
}

// AWS_SECRET_KEY for AWS_SECRET_ACCESS_KEY, S3_BUCKET_NAME for BUCKET_NAME.
bool words_overlap(std::string_view left, std::string_view right) {
  const auto left_words = words_of(left);
  const auto right_words = words_of(right);
  const auto& fewer = left_words.size() <= right_words.size() ? left_words : right_words;
  const auto& more = left_words.size() <= right_words.size() ? right_words : left_words;
  return fewer.size() >= 2 && more.size() <= fewer.size() + 1 &&
         std::includes(more.begin(), more.end(), fewer.begin(), fewer.end());
}

bool has_our_prefix(std::string_view name) {
  constexpr std::array<std::string_view, 7> kPrefixes{"AWS_",  "SLUICE_", "SPOOL_", "S3_",
                                                      "RATE_", "MAX_",    "UPLOAD_"};
  return std::any_of(kPrefixes.begin(), kPrefixes.end(),
                     [&](std::string_view prefix) { return name.starts_with(prefix); });
}

// What the AWS SDKs and tools read and Sluice does not: near in letters or words to what it does.
bool is_of_aws(std::string_view name) {
  constexpr std::array<std::string_view, 14> kNames{"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
                                                    "AWS_EC2_METADATA_V1_DISABLED",
                                                    "AWS_CA_BUNDLE",
                                                    "AWS_DEFAULT_PROFILE",
                                                    "AWS_ENDPOINT_URL_S3",
                                                    "AWS_EXECUTION_ENV",
                                                    "AWS_MAX_ATTEMPTS",
                                                    "AWS_METADATA_SERVICE_NUM_ATTEMPTS",
                                                    "AWS_METADATA_SERVICE_TIMEOUT",
                                                    "AWS_PAGER",
                                                    "AWS_RETRY_MODE",
                                                    "AWS_SDK_LOAD_CONFIG",
                                                    "AWS_SECURITY_TOKEN",
                                                    "AWS_STS_REGIONAL_ENDPOINTS"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

bool is_known(std::string_view name) {
  const auto settings = all_settings();
  return std::any_of(settings.begin(), settings.end(), [&](const Setting& setting) {
    return setting.name == name || setting.alias == name;
  });
}

}  // namespace

std::string_view nearest_setting(std::string_view name) {
  // A short name has many neighbours that mean something else: HOST, SORT.
  const std::size_t distance_max = name.size() < 6 ? 1 : 2;
  std::string_view nearest;
  std::size_t least = distance_max + 1;
  for (const Setting& setting : all_settings()) {
    const std::size_t distance = edit_distance(name, setting.name);
    if (distance < least) {
      least = distance;
      nearest = setting.name;
    }
  }
  if (!nearest.empty()) {
    return nearest;
  }
  for (const Setting& setting : all_settings()) {
    if (words_overlap(name, setting.name)) {
      return setting.name;
    }
  }
  return {};
}

std::vector<std::string> environment_warnings(const std::map<std::string, std::string>& variables) {
  std::vector<std::string> warnings;
  for (const auto& [name, value] : variables) {
    if (value.empty() || is_known(name) || is_of_aws(name)) {
      continue;
    }
    if (name == "CURRENT_FILE" || name == "TEMP_FILE") {
      warnings.push_back(name + " is gone on purpose: segments in SPOOL_DIR take its place");
      continue;
    }
    // A name without our prefixes is only near by its letters: words such as MAX and SIZE are
    // everybody's.
    const std::string_view nearest = nearest_setting(name);
    const bool by_letters = !nearest.empty() && edit_distance(name, nearest) <= 2;
    if (by_letters || (has_our_prefix(name) && !nearest.empty())) {
      warnings.push_back(name + " is no setting; did you mean " + std::string(nearest) + "?");
    } else if (name.starts_with("SLUICE_") || name.starts_with("SPOOL_")) {
      warnings.push_back(name + " is no setting; `sluice config` lists them");
    }
  }
  return warnings;
}

}  // namespace sluice
