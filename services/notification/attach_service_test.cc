// The whole service as an edge uses it: many subscribers over one Attach stream.
#include "services/notification/one_service_fixture.h"

namespace slipstream::notification {
namespace {

class AttachTest : public NotificationServiceTest {
 protected:
  AttachTest() : context_(Context(ServiceToken())), edge_(stub_->Attach(context_.get())) {}

  v1::AttachResponse Hello(bool takes_batches = false) {
    v1::AttachRequest request;
    request.mutable_hello()->set_edge_name("edge-1");
    request.mutable_hello()->set_takes_batches(takes_batches);
    EXPECT_TRUE(edge_->Write(request));
    return Next();
  }
  void Subscribe(uint64_t id, const std::string& token, int credit = 100,
                 const std::string& cursor = "") {
    v1::AttachRequest request;
    auto& subscribe = *request.mutable_subscribe();
    subscribe.set_subscriber_id(id);
    subscribe.set_token(token);
    subscribe.set_cursor(cursor);
    subscribe.set_credit_count(credit);
    EXPECT_TRUE(edge_->Write(request));
  }
  v1::AttachResponse Next() {
    v1::AttachResponse response;
    EXPECT_TRUE(edge_->Read(&response));
    return response;
  }
  absl::Status Finish() {
    v1::AttachResponse rest;
    while (edge_->Read(&rest)) {
    }
    return rpc::FromGrpc(edge_->Finish());
  }

  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::AttachRequest, v1::AttachResponse>> edge_;
};

TEST_F(AttachTest, CarriesManySubscribersOverOneStream) {
  EXPECT_GT(Hello().attached().max_subscribers_count(), 0);
  Subscribe(1, Token("alice"));
  const auto first = Next().subscribed();
  EXPECT_EQ(first.subscriber_id(), 1u);
  EXPECT_EQ(first.user(), "alice");
  EXPECT_TRUE(first.recovered());
  EXPECT_GT(first.token_expires_at().seconds(), 0);
  Subscribe(2, Token("bob", {"user"}, "acme"));
  EXPECT_EQ(Next().subscribed().tenant(), "acme");
  ASSERT_TRUE(Publish(Request("broadcast", "all"), ServiceToken()).ok());
  const auto all = Next().delivery();
  EXPECT_EQ(all.subscriber_ids_size(), 2);
  EXPECT_EQ(Text(all.event()), "all");
  EXPECT_TRUE(all.event().cursor().empty());
  ASSERT_TRUE(Publish(Request("user:bob", "one"), ServiceToken()).ok());
  const auto one = Next().delivery();
  ASSERT_EQ(one.subscriber_ids_size(), 1);
  EXPECT_EQ(one.subscriber_ids(0), 2u);
  // The edge makes the cursor itself: the channel's letter and the event's position.
  v1::AttachRequest gone;
  gone.mutable_unsubscribe()->set_subscriber_id(1);
  ASSERT_TRUE(edge_->Write(gone));
  Subscribe(3, Token("alice"), 100,
            first.cursor().substr(0, first.cursor().find('.')) + ".b" + all.event().position());
  EXPECT_TRUE(Next().subscribed().recovered());
  edge_->WritesDone();
  EXPECT_TRUE(Finish().ok());
}

TEST_F(AttachTest, BatchesHaveAllEventsInTheirOrder) {
  constexpr int kEventsCount = 60;
  Hello(/*takes_batches=*/true);
  Subscribe(1, Token("alice"));
  Next();
  Subscribe(2, Token("bob"));
  Next();
  v1::PublishManyRequest many;
  std::vector<std::string> alices, bobs;
  for (int i = 0; i < kEventsCount; ++i) {
    const bool private_one = i % 7 == 3;
    *many.add_events() = Request(private_one ? "user:bob" : "broadcast", std::to_string(i));
    if (!private_one) alices.push_back(std::to_string(i));
    bobs.push_back(std::to_string(i));
  }
  v1::PublishManyResponse published;
  ASSERT_TRUE(stub_->PublishMany(Context(ServiceToken()).get(), many, &published).ok());
  std::map<uint64_t, std::vector<std::string>> got;
  int responses = 0, deliveries = 0;
  while (got[2].size() < bobs.size()) {
    const v1::AttachResponse response = Next();
    ASSERT_TRUE(response.has_delivery_batch()) << response.DebugString();
    ++responses;
    for (const auto& delivery : response.delivery_batch().deliveries()) {
      ++deliveries;
      for (const uint64_t id : delivery.subscriber_ids()) {
        got[id].push_back(Text(delivery.event()));
        for (const v1::Event& event : delivery.more_events()) got[id].push_back(Text(event));
      }
    }
  }
  EXPECT_EQ(got[1], alices);
  EXPECT_EQ(got[2], bobs);
  // The first has left alone; the others have come meanwhile and go together, those that follow
  // each other to the same receivers as one delivery.
  EXPECT_LT(responses, kEventsCount / 4);
  EXPECT_LT(deliveries, kEventsCount / 2);
}

TEST_F(AttachTest, ASubscribersFailureIsItsOwn) {
  Hello();
  Subscribe(1, "not.a.token");
  auto closed = Next().closed();
  EXPECT_EQ(closed.subscriber_id(), 1u);
  EXPECT_EQ(closed.reason(), "UNAUTHENTICATED");
  Subscribe(2, Token("alice", {"nothing"}));
  EXPECT_EQ(Next().closed().reason(), "PERMISSION_DENIED");
  Subscribe(3, Token("alice"), 100, "not-a-cursor");
  EXPECT_EQ(Next().closed().reason(), "INVALID_CURSOR");
  v1::AttachRequest dances;
  dances.mutable_subscribe()->set_subscriber_id(4);
  dances.mutable_subscribe()->set_token(Token("alice"));
  dances.mutable_subscribe()->set_credit_count(1);
  dances.mutable_subscribe()->add_types("dance");
  ASSERT_TRUE(edge_->Write(dances));
  EXPECT_EQ(Next().closed().reason(), "INVALID_TYPES");
  for (uint64_t id = 10; id < 20; ++id) {
    Subscribe(id, Token("alice"));
    EXPECT_TRUE(Next().has_subscribed());
  }
  Subscribe(20, Token("alice"));
  EXPECT_EQ(Next().closed().reason(), "TOO_MANY_CONNECTIONS");
  v1::AttachRequest refresh;
  refresh.mutable_refresh()->set_subscriber_id(10);
  refresh.mutable_refresh()->set_token(Token("bob"));
  ASSERT_TRUE(edge_->Write(refresh));
  EXPECT_EQ(Next().closed().reason(), "PERMISSION_DENIED");
}

TEST_F(AttachTest, CreditHoldsBackAndConflatesProgress) {
  Hello();
  Subscribe(1, Token("alice"), 1);
  Next();
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(
        Publish(Request("user:alice", std::to_string(i), "task_progress", "t"), ServiceToken())
            .ok());
  }
  ASSERT_TRUE(Publish(Request("user:alice", "done", "task_completed", "t"), ServiceToken()).ok());
  EXPECT_EQ(Text(Next().delivery().event()), "0");
  v1::AttachRequest credit;
  credit.mutable_credit()->add_subscriber_ids(1);
  credit.mutable_credit()->set_credit_count(5);
  ASSERT_TRUE(edge_->Write(credit));
  EXPECT_EQ(Text(Next().delivery().event()), "4");
  EXPECT_EQ(Text(Next().delivery().event()), "done");
}

TEST_F(AttachTest, AnEdgeThatBreaksTheProtocolIsToldSo) {
  Subscribe(1, Token("alice"));  // before hello
  EXPECT_EQ(status::FieldViolations(Finish()).at(0).field, "hello.edge_name");
}

TEST_F(AttachTest, ASubscriberIdIsUsedOnce) {
  Hello();
  Subscribe(1, Token("alice"));
  Next();
  Subscribe(1, Token("bob"));
  EXPECT_EQ(status::Reason(Finish()), "SUBSCRIBER_ID_IN_USE");
}

TEST_F(AttachTest, UsersMayNotAttach) {
  auto context = Context(Token("alice"));
  auto stream = stub_->Attach(context.get());
  v1::AttachResponse response;
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::PERMISSION_DENIED);
}

}  // namespace
}  // namespace slipstream::notification
