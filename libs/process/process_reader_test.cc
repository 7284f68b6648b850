#include "libs/process/process_reader.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "libs/status/status.h"

namespace slipstream::process {
namespace {

// Recorded on Linux 6.18; the name is made hostile, as a process may choose it.
constexpr char kStat[] =
    "13656 (a) b (c) R 13654 13654 5543 0 -1 4194304 100 0 9 0 250 125 0 0 20 0 7 0 108511 "
    "3133440 366 18446744073709551615 94586959982592 94586960002473 140733623931664 0 0 0 0 0 0 0 "
    "0 0 17 1 0 0 0 0 0 94586960018480 94586960020096 94587563380736 140733623937660 "
    "140733623937749 140733623937749 140733623939051 0\n";
constexpr char kMachineStat[] =
    "cpu  17268 7992 6521 180964 3026 0 245 59 0 0\n"
    "cpu0 6471 4311 2579 94037 600 0 65 17 0 0\n"
    "intr 1 2 3\nctxt 5\nbtime 1795304992\nprocesses 13656\n";
constexpr char kStatus[] =
    "Name:\tcat\nUmask:\t0022\nVmPeak:\t    3060 kB\nVmHWM:\t    1700 kB\nVmRSS:\t    1644 kB\n"
    "Threads:\t1\n";
constexpr char kLimits[] =
    "Limit                     Soft Limit           Hard Limit           Units     \n"
    "Max processes             96529                96529                processes \n"
    "Max open files            1024                 20000                files     \n";
constexpr char kIo[] =
    "rchar: 7277\nwchar: 301\nsyscr: 12\nsyscw: 1\nread_bytes: 8192\nwrite_bytes: 4096\n"
    "cancelled_write_bytes: 512\n";
constexpr char kNetDev[] =
    "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop "
    "fifo colls carrier compressed\n"
    "    lo:  112628     550    0    0    0     0          0         0   112628     550    0    0  "
    "  0     0       0          0\n"
    "  eth0: 1000   14556    0    0    0     0          0         0   200    6160    0    0    0   "
    "  0       0          0\n"
    "eth0:1:30 1 0 0 0 0 0 0 4 1 0 0 0 0 0 0\n";

TEST(ParseStatTest, ReadsTheRecordedProcess) {
  ProcessFigures figures;
  ASSERT_TRUE(ParseStat(kStat, 100, ParseBootTime(kMachineStat), figures));
  EXPECT_DOUBLE_EQ(figures.cpu_user_seconds, 2.5);
  EXPECT_DOUBLE_EQ(figures.cpu_system_seconds, 1.25);
  EXPECT_EQ(figures.thread_count, 7);
  EXPECT_EQ(figures.virtual_memory_bytes, 3133440);
  EXPECT_EQ(figures.major_page_fault_count, 9);
  EXPECT_EQ(figures.start_time, absl::FromUnixMillis(1795304992000 + 1085110));
}

TEST(ParseStatTest, RefusesEveryShortenedText) {
  const std::string_view needed =
      std::string_view(kStat).substr(0, std::string_view(kStat).find(" 3133440"));
  for (size_t length = 0; length <= needed.size(); ++length) {
    ProcessFigures figures;
    EXPECT_FALSE(ParseStat(needed.substr(0, length), 100, std::nullopt, figures)) << length;
  }
}

TEST(ParseStatusTest, CountsInBytes) {
  ProcessFigures figures;
  ASSERT_TRUE(ParseStatus(kStatus, figures));
  EXPECT_EQ(figures.resident_memory_bytes, 1644 * 1024);
  EXPECT_EQ(figures.resident_memory_peak_bytes, 1700 * 1024);
  EXPECT_FALSE(ParseStatus("Name:\tkthreadd\n", figures));  // kernel threads have no memory
}

TEST(ParseLimitsTest, TakesTheSoftLimit) {
  ProcessFigures figures;
  ASSERT_TRUE(ParseLimits(kLimits, figures));
  EXPECT_EQ(figures.max_fd_count, 1024);
  ProcessFigures unlimited;
  EXPECT_TRUE(ParseLimits("Max open files   unlimited  unlimited  files\n", unlimited));
  EXPECT_EQ(unlimited.max_fd_count, std::nullopt);
  EXPECT_FALSE(ParseLimits("", unlimited));
}

TEST(ParseIoTest, TakesBlockBytesNotCharacters) {
  ProcessFigures figures;
  ASSERT_TRUE(ParseIo(kIo, figures));
  EXPECT_EQ(figures.disk_read_bytes, 8192);
  EXPECT_EQ(figures.disk_written_bytes, 4096);
  EXPECT_FALSE(ParseIo("read_bytes: x\nwrite_bytes: 1\n", figures));
}

TEST(ParseNetDevTest, AddsUpAllInterfacesButLoopback) {
  ProcessFigures figures;
  ASSERT_TRUE(ParseNetDev(kNetDev, figures));
  EXPECT_EQ(figures.network_received_bytes, 1030);
  EXPECT_EQ(figures.network_sent_bytes, 204);
  EXPECT_FALSE(ParseNetDev("h\n|h\n eth0: 1 2 3\n", figures));
  EXPECT_FALSE(ParseNetDev("h\n|h\n no colon\n", figures));
  EXPECT_EQ(figures.network_received_bytes, 1030);  // left as it was
}

TEST(ParseBootTimeTest, FindsItsLine) {
  EXPECT_EQ(ParseBootTime(kMachineStat), absl::FromUnixSeconds(1795304992));
  EXPECT_EQ(ParseBootTime("cpu 1 2\n"), std::nullopt);
}

class RecordedProc : public testing::Test {
 protected:
  RecordedProc() {
    std::string pattern = testing::TempDir() + "/procXXXXXX";
    path_ = mkdtemp(pattern.data());
    std::filesystem::create_directories(path_ / "self/net");
    std::filesystem::create_directories(path_ / "self/fd");
    for (const char* fd : {"0", "1", "2"}) Write(std::string("self/fd/") + fd, "");
  }
  ~RecordedProc() override { std::filesystem::remove_all(path_); }

  void Write(const std::string& name, std::string_view text) {
    std::ofstream(path_ / name, std::ios::binary) << text;
  }

  std::filesystem::path path_;
};

TEST_F(RecordedProc, IsReadWhole) {
  Write("stat", kMachineStat);
  Write("self/stat", kStat);
  Write("self/status", kStatus);
  Write("self/limits", kLimits);
  Write("self/io", kIo);
  Write("self/net/dev", kNetDev);
  const auto figures = ProcessReader(path_.string()).Read();
  ASSERT_TRUE(figures.ok()) << figures.status();
  EXPECT_EQ(figures->thread_count, 7);
  EXPECT_TRUE(figures->start_time.has_value());
  EXPECT_EQ(figures->resident_memory_bytes, 1644 * 1024);
  EXPECT_EQ(figures->max_fd_count, 1024);
  EXPECT_EQ(figures->open_fd_count, 3);
  EXPECT_EQ(figures->disk_read_bytes, 8192);
  EXPECT_EQ(figures->network_sent_bytes, 204);
}

TEST_F(RecordedProc, HiddenFilesAreAbsentFiguresNotZeros) {
  Write("self/stat", kStat);
  std::filesystem::remove_all(path_ / "self/fd");
  const auto figures = ProcessReader(path_.string()).Read();
  ASSERT_TRUE(figures.ok()) << figures.status();
  EXPECT_EQ(figures->thread_count, 7);
  EXPECT_FALSE(figures->start_time.has_value());
  EXPECT_FALSE(figures->resident_memory_bytes.has_value());
  EXPECT_FALSE(figures->open_fd_count.has_value());
  EXPECT_FALSE(figures->max_fd_count.has_value());
  EXPECT_FALSE(figures->disk_read_bytes.has_value());
  EXPECT_FALSE(figures->network_received_bytes.has_value());
}

TEST_F(RecordedProc, WithoutStatItSaysWhatToCheck) {
  const auto figures = ProcessReader(path_.string()).Read();
  EXPECT_EQ(figures.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(status::Reason(figures.status()), "PROC_UNREADABLE");
}

TEST(OwnProcess, FiguresFollowWhatTheProcessDoes) {
  const ProcessReader reader;
  const auto before = reader.Read();
  ASSERT_TRUE(before.ok()) << before.status();
  EXPECT_LE(*before->start_time, absl::Now() + absl::Seconds(1));
  EXPECT_GT(*before->start_time, absl::Now() - absl::Hours(1));
  EXPECT_GE(*before->resident_memory_peak_bytes, *before->resident_memory_bytes);
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  if (limit.rlim_cur != RLIM_INFINITY) {
    EXPECT_EQ(*before->max_fd_count, static_cast<int64_t>(limit.rlim_cur));
  }

  constexpr size_t kTouchedBytes = 64 << 20;
  std::vector<char> touched(kTouchedBytes, 'x');
  std::vector<int> fds;
  for (int i = 0; i < 5; ++i) fds.push_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
  // Burns CPU until the kernel's own clock says that enough of it went by.
  const auto cpu_seconds = [] {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return absl::ToDoubleSeconds(absl::DurationFromTimespec(now));
  };
  const double start = cpu_seconds();
  volatile size_t sum = 0;
  while (cpu_seconds() - start < 0.1) {
    for (size_t i = 0; i < touched.size(); i += 4096) sum = sum + touched[i];
  }

  const auto after = reader.Read();
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(*after->open_fd_count, *before->open_fd_count + 5);
  EXPECT_GT(*after->resident_memory_bytes, *before->resident_memory_bytes + kTouchedBytes / 2);
  EXPECT_GE(after->virtual_memory_bytes, *after->resident_memory_bytes);
  EXPECT_GE(after->cpu_user_seconds + after->cpu_system_seconds,
            before->cpu_user_seconds + before->cpu_system_seconds + 0.05);
  EXPECT_EQ(after->start_time, before->start_time);
  for (int fd : fds) close(fd);
}

TEST(OwnProcess, CountsItsThreads) {
  // A sanitizer's own thread starts with the first one of ours.
  std::thread([] {}).join();
  const ProcessReader reader;
  const int64_t before = reader.Read()->thread_count;
  int64_t during = 0;
  std::thread([&] { during = reader.Read()->thread_count; }).join();
  EXPECT_EQ(during, before + 1);
}

}  // namespace
}  // namespace slipstream::process
