// The checks that every client has to pass, by grpc-go. `tests/interop/run.py` starts it and says where the servers are.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	modelward "modelward/examples/go/modelwardv1"
)

func main() {
	checks := []struct {
		name string
		run  func(*client) error
	}{
		{"changes", changes}, {"errors", refusals}, {"watch", watch}, {"deadline", deadline},
		{"tls", overTLS}, {"socket", overSocket}, {"health", health},
	}
	plain, err := connect(os.Getenv("INTEROP_PLAIN"), insecure.NewCredentials())
	for _, check := range checks {
		if err == nil {
			err = check.run(plain)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", check.name, err)
			os.Exit(1)
		}
		fmt.Println("ok", check.name)
	}
}

type client struct {
	connection *grpc.ClientConn
	providers  modelward.ProviderServiceClient
	ctx        context.Context
}

func connect(target string, security credentials.TransportCredentials) (*client, error) {
	token, err := os.ReadFile(os.Getenv("INTEROP_TOKEN"))
	if err != nil {
		return nil, err
	}
	connection, err := grpc.NewClient(target, grpc.WithTransportCredentials(security))
	if err != nil {
		return nil, err
	}
	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+strings.TrimSpace(string(token)))
	return &client{connection, modelward.NewProviderServiceClient(connection), ctx}, nil
}

func (c *client) create(name string) (*modelward.Provider, error) {
	return c.createOnce(name, "")
}

func (c *client) createOnce(name, requestID string) (*modelward.Provider, error) {
	wanted := &modelward.Provider{Name: &name, Kind: modelward.ProviderKind_PROVIDER_KIND_VLLM.Enum()}
	made, err := c.providers.CreateProvider(c.ctx, &modelward.CreateProviderRequest{Provider: wanted, RequestId: requestID})
	return made.GetProvider(), err
}

func (c *client) purge(id string) error {
	_, err := c.providers.DeleteProvider(c.ctx, &modelward.DeleteProviderRequest{Id: id, Purge: true})
	return err
}

func changes(c *client) error {
	requestID := rand.Text()
	made, err := c.createOnce("go changes", requestID)
	if err != nil {
		return err
	}
	again, err := c.createOnce("go changes", requestID)
	if err != nil || !proto.Equal(again, made) {
		return fmt.Errorf("a repeated call answers %v: %v", again, err)
	}
	updated, err := c.providers.UpdateProvider(c.ctx, &modelward.UpdateProviderRequest{
		Provider:         &modelward.Provider{Id: made.Id, Description: proto.String("by grpc-go"), Name: proto.String("not named")},
		UpdateMask:       &fieldmaskpb.FieldMask{Paths: []string{"description"}},
		ExpectedRevision: &made.Revision,
	})
	if err != nil || updated.Provider.GetDescription() != "by grpc-go" || updated.Provider.GetName() != "go changes" {
		return fmt.Errorf("an update by mask answers %v: %v", updated, err)
	}
	listed, err := c.providers.ListProviders(c.ctx, &modelward.ListProvidersRequest{Name: "go changes"})
	if err != nil || listed.TotalSize != 1 || !proto.Equal(listed.Providers[0], updated.Provider) {
		return fmt.Errorf("the list answers %v: %v", listed, err)
	}
	if err := c.purge(made.Id); err != nil {
		return err
	}
	_, err = c.providers.GetProvider(c.ctx, &modelward.GetProviderRequest{Id: made.Id})
	_, err = refused(err, codes.NotFound, "NOT_FOUND")
	return err
}

// The details of an error that has this code and reason.
func refused(err error, code codes.Code, reason string) (*errdetails.BadRequest, error) {
	var infos []*errdetails.ErrorInfo
	var bad *errdetails.BadRequest
	for _, detail := range status.Convert(err).Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			infos = append(infos, detail)
		case *errdetails.BadRequest:
			bad = detail
		}
	}
	if status.Code(err) != code || len(infos) != 1 || infos[0].Reason != reason || infos[0].Domain != "modelward" {
		return nil, fmt.Errorf("%s was expected, there are %v: %v", reason, infos, err)
	}
	return bad, nil
}

func refusals(c *client) error {
	_, err := c.providers.CreateProvider(c.ctx, &modelward.CreateProviderRequest{Provider: &modelward.Provider{
		Name:       proto.String(""),
		SyncPolicy: &modelward.SyncPolicy{Interval: durationpb.New(time.Second)},
	}})
	bad, err := refused(err, codes.InvalidArgument, "INVALID_FIELD")
	if err != nil {
		return err
	}
	var fields []string
	for _, violation := range bad.GetFieldViolations() {
		fields = append(fields, violation.Field)
	}
	slices.Sort(fields)
	if expected := strings.Fields(os.Getenv("INTEROP_BAD_FIELDS")); !slices.Equal(fields, expected) {
		return fmt.Errorf("the bad fields are %q, not %q", fields, expected)
	}
	_, err = c.providers.ListProviders(context.Background(), &modelward.ListProvidersRequest{})
	_, err = refused(err, codes.Unauthenticated, "UNAUTHENTICATED")
	return err
}

// The next change that a stream shows, and the token after it.
func next(stream grpc.ServerStreamingClient[modelward.WatchResponse]) (name, token string, err error) {
	for {
		message, err := stream.Recv()
		if err != nil {
			return "", "", err
		}
		if message.Event == modelward.WatchEvent_WATCH_EVENT_CHANGES {
			return message.Changes[0].GetAfter().GetProvider().GetName(), message.ResumeToken, nil
		}
	}
}

func watch(c *client) error {
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	watches := modelward.NewWatchServiceClient(c.connection)
	stream, err := watches.Watch(ctx, &modelward.WatchRequest{ClientName: "grpc-go"})
	if err != nil {
		return err
	}
	if first, err := stream.Recv(); err != nil || first.Event != modelward.WatchEvent_WATCH_EVENT_BOOKMARK {
		return fmt.Errorf("it begins with %v: %v", first, err)
	}
	var ids []string
	for _, name := range []string{"go seen", "go missed"} {
		made, err := c.create(name)
		if err != nil {
			return err
		}
		ids = append(ids, made.Id)
		if name == "go missed" {
			break
		}
	}
	name, token, err := next(stream)
	if err != nil || name != "go seen" || token == "" {
		return fmt.Errorf("the first change is %q with the token %q: %v", name, token, err)
	}
	cancel()
	if err := drained(stream); status.Code(err) != codes.Canceled {
		return err
	}
	resumed, err := watches.Watch(c.ctx, &modelward.WatchRequest{ResumeToken: token})
	if err != nil {
		return err
	}
	if name, _, err := next(resumed); err != nil || name != "go missed" {
		return fmt.Errorf("the stream goes on with %q: %v", name, err)
	}
	for _, id := range ids {
		err = errors.Join(err, c.purge(id))
	}
	return err
}

func drained(stream grpc.ServerStreamingClient[modelward.WatchResponse]) error {
	for {
		if _, err := stream.Recv(); err != nil {
			return err
		}
	}
}

// A call that would take seconds ends when its caller has no more time.
func deadline(c *client) error {
	made, err := c.create("go deadline")
	if err != nil {
		return err
	}
	endpoints := modelward.NewEndpointServiceClient(c.connection)
	endpoint, err := endpoints.CreateEndpoint(c.ctx, &modelward.CreateEndpointRequest{Endpoint: &modelward.Endpoint{
		ProviderId: &made.Id, Name: proto.String("silent"), BaseUrl: proto.String(os.Getenv("INTEROP_SILENT")),
		HealthCheck: &modelward.HealthCheckPolicy{Enabled: proto.Bool(false)},
	}})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.ctx, 300*time.Millisecond)
	defer cancel()
	_, err = endpoints.CheckEndpointHealth(ctx, &modelward.CheckEndpointHealthRequest{Id: endpoint.Endpoint.Id})
	if status.Code(err) != codes.DeadlineExceeded {
		return fmt.Errorf("a call without time left answers %v", err)
	}
	return c.purge(made.Id)
}

func overTLS(*client) error {
	trusted, err := credentials.NewClientTLSFromFile(os.Getenv("INTEROP_CA"), "")
	if err != nil {
		return err
	}
	c, err := connect(os.Getenv("INTEROP_TLS"), trusted)
	if err != nil {
		return err
	}
	made, err := c.create("go tls")
	if err != nil {
		return err
	}
	strange, err := connect(os.Getenv("INTEROP_TLS"), credentials.NewTLS(nil))
	if err != nil {
		return err
	}
	if _, err := strange.create("go stranger"); status.Code(err) != codes.Unavailable {
		return fmt.Errorf("an unknown authority is trusted: %v", err)
	}
	return c.purge(made.Id)
}

func overSocket(*client) error {
	c, err := connect("unix://"+os.Getenv("INTEROP_SOCKET"), insecure.NewCredentials())
	if err != nil {
		return err
	}
	for _, check := range []func(*client) error{changes, refusals, watch} {
		if err := check(c); err != nil {
			return err
		}
	}
	return nil
}

// Health needs no token, on both listeners.
func health(*client) error {
	for _, target := range []string{os.Getenv("INTEROP_OPS"), os.Getenv("INTEROP_PLAIN")} {
		connection, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return err
		}
		for _, service := range []string{"", "modelward.v1.ProviderService", "modelward.writes"} {
			request := &grpc_health_v1.HealthCheckRequest{Service: service}
			answer, err := grpc_health_v1.NewHealthClient(connection).Check(context.Background(), request)
			if err != nil || answer.Status != grpc_health_v1.HealthCheckResponse_SERVING {
				return fmt.Errorf("%q of %s is %v: %v", service, target, answer, err)
			}
		}
	}
	return nil
}
