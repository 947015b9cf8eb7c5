// A client in Go: makes a provider, asks what to call and with which key, follows the configuration, and removes what
// it made.
//
//	go generate && go run . -token-file …/admin.token
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	modelward "modelward/examples/go/modelwardv1"
)

//go:generate go run ./stubs

var (
	server    = flag.String("server", "127.0.0.1:50051", "where the server is; a Unix socket as unix:///path")
	tokenFile = flag.String("token-file", "../../modelward-data/admin.token", "a file with an admin's token")
	baseURL   = flag.String("base-url", "http://127.0.0.1:18080/v1", "a server that speaks OpenAI's API")
	key       = flag.String("key", "sk-mock-1234567890abcd", "the key that it wants")
)

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, Reason(err), err)
		os.Exit(1)
	}
	fmt.Println("done")
}

func run() error {
	token, err := os.ReadFile(*tokenFile)
	if err != nil {
		return err
	}
	// Beyond your own machine: credentials.NewClientTLSFromFile instead of insecure.
	connection, err := grpc.NewClient(*server,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		// Whoever has several servers behind one name balances over them, and repeats what a stopping one refused.
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"round_robin": {}}], "methodConfig": [{"name": [{}], "retryPolicy": {
			"maxAttempts": 4, "initialBackoff": "0.1s", "maxBackoff": "2s", "backoffMultiplier": 2,
			"retryableStatusCodes": ["UNAVAILABLE"]}}]}`))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+strings.TrimSpace(string(token)))

	watched, err := modelward.NewWatchServiceClient(connection).Watch(ctx, &modelward.WatchRequest{ClientName: "go-example"})
	if err != nil {
		return err
	}
	// The first message says from where on nothing is missed.
	if _, err := watched.Recv(); err != nil {
		return err
	}
	providers := modelward.NewProviderServiceClient(connection)
	id, err := makeProvider(ctx, providers)
	if err != nil {
		return err
	}
	defer providers.DeleteProvider(ctx, &modelward.DeleteProviderRequest{Id: id, Purge: true})
	if err := addAccount(ctx, connection, id); err != nil {
		return err
	}
	if err := resolve(ctx, connection); err != nil {
		return err
	}
	return follow(watched, id)
}

func makeProvider(ctx context.Context, providers modelward.ProviderServiceClient) (string, error) {
	name := fmt.Sprintf("go-client-%d", time.Now().UnixNano())
	wanted := &modelward.Provider{Name: &name, Kind: modelward.ProviderKind_PROVIDER_KIND_OPENAI_COMPATIBLE.Enum()}
	// With a request id a call can be repeated after a lost answer: the provider is made once.
	request := &modelward.CreateProviderRequest{Provider: wanted, RequestId: name}
	made, err := providers.CreateProvider(ctx, request)
	if err != nil {
		return "", err
	}
	// Every error has a reason that programs can rely on; the message is for people.
	_, err = providers.CreateProvider(ctx, &modelward.CreateProviderRequest{Provider: wanted})
	fmt.Println("the same name again is refused with", Reason(err))
	return made.Provider.Id, nil
}

// An endpoint, a key for it, and the models that the vendor lists.
func addAccount(ctx context.Context, connection *grpc.ClientConn, provider string) error {
	_, err := modelward.NewEndpointServiceClient(connection).CreateEndpoint(ctx, &modelward.CreateEndpointRequest{
		Endpoint: &modelward.Endpoint{ProviderId: &provider, Name: proto.String("local"), BaseUrl: baseURL},
	})
	if err != nil {
		return err
	}
	_, err = modelward.NewCredentialServiceClient(connection).CreateCredential(ctx, &modelward.CreateCredentialRequest{
		Credential: &modelward.Credential{ProviderId: &provider, Alias: proto.String("main"), Secret: &modelward.CredentialSecret{ApiKey: key}},
	})
	if err != nil {
		return err
	}
	synced, err := modelward.NewModelServiceClient(connection).SyncModels(ctx, &modelward.SyncModelsRequest{ProviderId: provider})
	if err == nil {
		fmt.Println(synced.Added, "models were added")
	}
	return err
}

// What to call for something that can call functions, with the key, and what if that fails.
func resolve(ctx context.Context, connection *grpc.ClientConn) error {
	answer, err := modelward.NewRoutingServiceClient(connection).ResolveTarget(ctx, &modelward.ResolveTargetRequest{
		Selector: &modelward.ResolveTargetRequest_Requirement{Requirement: &modelward.ModelRequirement{
			Capabilities: []modelward.Capability{modelward.Capability_CAPABILITY_FUNCTION_CALLING},
		}},
		IncludeSecret: true,
		MaxFallbacks:  proto.Int32(2),
	})
	if err != nil {
		return err
	}
	target := answer.Target
	fmt.Printf("call %s at %s with a key of %d characters, or one of %d others\n",
		target.Model.GetModelId(), target.Endpoint.GetBaseUrl(), len(target.Secret.GetApiKey()), len(answer.Fallbacks))
	return nil
}

// Reads changes until the provider's own is there. A client that comes back with the last token misses nothing.
func follow(watched grpc.ServerStreamingClient[modelward.WatchResponse], provider string) error {
	for {
		message, err := watched.Recv()
		if err != nil {
			return err
		}
		for _, change := range message.Changes {
			if change.ResourceId == provider {
				fmt.Println("revision", change.Revision, "made the provider; goes on with a token of", len(message.ResumeToken), "characters")
				return nil
			}
		}
	}
}

// Reason answers ErrorInfo.reason of a failed call; empty when the server did not answer at all.
func Reason(err error) string {
	var failed interface{ GRPCStatus() *status.Status }
	if errors.As(err, &failed) {
		for _, detail := range failed.GRPCStatus().Details() {
			if info, ok := detail.(*errdetails.ErrorInfo); ok {
				return info.Reason
			}
		}
	}
	return ""
}
