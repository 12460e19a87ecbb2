// The main of every doctest executable. A run in which no assertion was made fails: a filter that
// matches nothing, or a test that asserts nothing, must not look green.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>

namespace {

int assertions_seen = 0;  // doctest runs its cases on one thread

struct CountingReporter : doctest::IReporter {
  explicit CountingReporter(const doctest::ContextOptions& /*options*/) {}
  void report_query(const doctest::QueryData& /*in*/) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats& in) override { assertions_seen = in.numAsserts; }
  void test_case_start(const doctest::TestCaseData& /*in*/) override {}
  void test_case_reenter(const doctest::TestCaseData& /*in*/) override {}
  void test_case_end(const doctest::CurrentTestCaseStats& /*in*/) override {}
  void test_case_exception(const doctest::TestCaseException& /*in*/) override {}
  void subcase_start(const doctest::SubcaseSignature& /*in*/) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData& /*in*/) override {}
  void log_message(const doctest::MessageData& /*in*/) override {}
  void test_case_skipped(const doctest::TestCaseData& /*in*/) override {}
};

}  // namespace

DOCTEST_REGISTER_LISTENER("counting", 1, CountingReporter);

int main(int argc, char** argv) {
  doctest::Context context(argc, argv);
  const int result = context.run();
  if (context.shouldExit()) {
    return result;
  }
  if (assertions_seen == 0) {
    std::fputs("no assertion was made: nothing was tested\n", stderr);
    return 1;
  }
  return result;
}
