// Result and Status: what an operation gave, or why it did not. No exceptions cross a stage.
#pragma once

#include <cerrno>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>

namespace sluice {

// Four kinds, each handled in one place:
//   rejected   the input is at fault: it goes to quarantine with the reason, the stage goes on
//   transient  the world is at fault for now: retried inside the stage, never crosses a queue
//   cancelled  somebody asked us to stop: silent
//   fatal      the stage cannot go on: the Pipeline keeps the first one and names the stage
enum class ErrorKind { rejected, transient, cancelled, fatal };

struct Error {
  ErrorKind kind = ErrorKind::fatal;
  int code = 0;         // errno where a system call failed, else 0
  std::string message;  // what, where, and what to do
};

inline Error rejected(std::string message) { return {ErrorKind::rejected, 0, std::move(message)}; }
inline Error transient(std::string message, int code = 0) {
  return {ErrorKind::transient, code, std::move(message)};
}
inline Error cancelled() { return {ErrorKind::cancelled, 0, "cancelled"}; }
inline Error fatal(std::string message, int code = 0) {
  return {ErrorKind::fatal, code, std::move(message)};
}

// "<what>: <the text of errno `code`>", fatal.
inline Error system_error(std::string_view what, int code) {
  return fatal(std::string(what) + ": " + std::generic_category().message(code), code);
}

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  [[nodiscard]] const Error& error() const { return *error_; }

 private:
  std::optional<Error> error_;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT

  [[nodiscard]] bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  [[nodiscard]] T& value() { return std::get<0>(state_); }
  [[nodiscard]] const T& value() const { return std::get<0>(state_); }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  [[nodiscard]] const Error& error() const { return std::get<1>(state_); }
  [[nodiscard]] Status status() const { return ok() ? Status() : Status(error()); }

 private:
  std::variant<T, Error> state_;
};

}  // namespace sluice
