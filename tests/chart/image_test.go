package chart

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// A tag that names one version down to the patch, and the system below it.
var pinned = regexp.MustCompile(`^[a-z]+:\d+\.\d+(\.\d+)?-[a-z-]+$`)

// What asks a server whether it is well, without a shell.
var probe = []string{"CMD", "/usr/bin/modelward", "health", "--server=http://127.0.0.1:9090"}

// The stages of the Dockerfile, read by Docker's own parser.
func stages(t *testing.T) []instructions.Stage {
	t.Helper()
	file, err := parser.Parse(strings.NewReader(text(t, "Dockerfile")))
	if err != nil {
		t.Fatal(err)
	}
	if len(file.Warnings) > 0 {
		t.Error(file.Warnings)
	}
	stages, _, err := instructions.Parse(file.AST, nil)
	if err != nil {
		t.Fatal(err)
	}
	return stages
}

func TestTheImageHasNoShellNoRootAndAProbe(t *testing.T) {
	stages := stages(t)
	last := stages[len(stages)-1]
	if len(stages) != 2 || last.BaseName != "scratch" || !pinned.MatchString(stages[0].BaseName) {
		t.Fatal("expected a build on a pinned version and a last stage on nothing")
	}
	seen := map[string]bool{}
	for _, command := range last.Commands {
		seen[command.Name()] = true
		switch command := command.(type) {
		case *instructions.RunCommand:
			t.Error("nothing can run without a shell:", command)
		case *instructions.UserCommand:
			if command.User != "65532:65532" {
				t.Error(command.User)
			}
		case *instructions.HealthCheckCommand:
			if !slices.Equal(command.Health.Test, probe) {
				t.Error(command.Health.Test)
			}
		case *instructions.EntrypointCommand:
			if command.PrependShell || !slices.Equal(command.CmdLine, []string{"/usr/bin/modelward"}) {
				t.Error(command.CmdLine)
			}
		case *instructions.CmdCommand:
			if command.PrependShell || !slices.Equal(command.CmdLine, []string{"serve"}) {
				t.Error(command.CmdLine)
			}
		}
	}
	for _, name := range []string{"USER", "HEALTHCHECK", "ENTRYPOINT", "CMD", "COPY"} {
		if !seen[strings.ToLower(name)] && !seen[name] {
			t.Error("no", name)
		}
	}
}

func TestTheImageIsBuiltWithTheCompilerThatTheProjectAsksFor(t *testing.T) {
	asked := regexp.MustCompile(`(?m)^rust-version = "(.*)"$`).FindStringSubmatch(text(t, "Cargo.toml"))
	if base := stages(t)[0].BaseName; asked == nil || !strings.HasPrefix(base, "rust:"+asked[1]+".") {
		t.Error(base, "is not", asked)
	}
}

// compose.yaml as the real loader understands it, beside secrets that its script has made.
func project(t *testing.T) (directory string, project *types.Project) {
	t.Helper()
	directory = t.TempDir()
	for _, file := range []string{"compose.yaml", "scripts/compose-secrets"} {
		copied := filepath.Join(directory, file)
		err := os.MkdirAll(filepath.Dir(copied), 0o700)
		if err == nil {
			err = os.WriteFile(copied, []byte(text(t, file)), 0o700)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if told, err := exec.Command(filepath.Join(directory, "scripts", "compose-secrets")).CombinedOutput(); err != nil {
			t.Fatal(string(told), err)
		}
	}
	options, err := cli.NewProjectOptions([]string{filepath.Join(directory, "compose.yaml")},
		cli.WithWorkingDirectory(directory), cli.WithEnvFiles(), cli.WithDotEnv)
	if err != nil {
		t.Fatal(err)
	}
	project, err = options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return directory, project
}

func TestComposeStartsAServerThatReadsItsSecretsFromFiles(t *testing.T) {
	directory, project := project(t)
	for name, secret := range project.Secrets {
		about, err := os.Stat(secret.File)
		// The server refuses a key file that everybody can read.
		if err != nil || !strings.HasPrefix(secret.File, directory) || about.Mode().Perm() != 0o640 || about.Size() == 0 {
			t.Error(name, about, err)
		}
	}
	server, database := project.Services["modelward"], project.Services["postgres"]
	if !server.ReadOnly || server.Privileged || !slices.Equal(server.CapDrop, []string{"ALL"}) || len(server.GroupAdd) != 1 {
		t.Error("the server may more than it needs")
	}
	if server.DependsOn["postgres"].Condition != types.ServiceConditionHealthy || database.HealthCheck == nil || server.HealthCheck == nil {
		t.Error("the server does not wait for its database")
	}
	if !slices.Equal(server.HealthCheck.Test, probe) {
		t.Error(server.HealthCheck.Test)
	}
	if !pinned.MatchString(database.Image) {
		t.Error(database.Image)
	}
	for _, port := range server.Ports {
		if port.HostIP != "127.0.0.1" {
			t.Error("without TLS for other machines:", port)
		}
	}
	for _, service := range project.Services {
		for name, value := range service.Environment {
			if strings.Contains(strings.ToLower(name), "password") && !strings.HasSuffix(name, "_FILE") || strings.Contains(*value, "postgres://") {
				t.Error(service.Name, name)
			}
		}
	}
}

func TestComposeSaysWhatIsMissingBeforeTheFirstStart(t *testing.T) {
	options, err := cli.NewProjectOptions([]string{filepath.Join(Root, "compose.yaml")})
	if err == nil {
		_, err = options.LoadProject(t.Context())
	}
	if err == nil || !strings.Contains(err.Error(), "scripts/compose-secrets") {
		t.Error(err)
	}
}
