// The live page on /: one self-contained HTML document that polls /status once a second.
#pragma once

#include <string_view>

namespace sluice {

extern const std::string_view kLivePage;

}  // namespace sluice
