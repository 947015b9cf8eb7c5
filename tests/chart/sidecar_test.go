package chart

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
)

// The example of a chart that has the sidecar, with its dependency packed beside it.
func assistant(t *testing.T) string {
	t.Helper()
	directory := t.TempDir()
	for from, to := range map[string]string{"examples/assistant": "examples/assistant", "helm/modelward-sidecar": "helm/modelward-sidecar"} {
		if err := os.CopyFS(filepath.Join(directory, to), os.DirFS(filepath.Join(Root, from))); err != nil {
			t.Fatal(err)
		}
	}
	chart := filepath.Join(directory, "examples", "assistant")
	// What somebody's own trial left behind.
	for _, left := range []string{"charts", "Chart.lock"} {
		if err := os.RemoveAll(filepath.Join(chart, left)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Helm(".", "dependency", "update", chart); err != nil {
		t.Fatal(err)
	}
	return chart
}

func beside(t *testing.T, chart string, sets ...string) ([]Document, error) {
	t.Helper()
	arguments := []string{"template", "assistant", chart, "--namespace", Namespace}
	for _, set := range sets {
		arguments = append(arguments, "--set", "modelward-sidecar."+set)
	}
	text, err := Helm(".", arguments...)
	if err != nil {
		return nil, err
	}
	return Read(text)
}

func TestTheSidecarIsWhatKubernetesTakesAndIsRestricted(t *testing.T) {
	chart := assistant(t)
	for _, sets := range [][]string{
		nil,
		{"identity.existingSecret=token", "ca.configMap=", "ca.secret=authority", "writes=forward", `settings.reads\.max_staleness=1h`},
		{"ca.configMap=", "serveSecrets=false", "upstream=http://a:1", "ports.api=1", "localToken.existingSecret=l", "image.digest=sha256:" + strings.Repeat("a", 64)},
	} {
		documents, err := beside(t, chart, sets...)
		if err != nil {
			t.Fatal(err)
		}
		published := release(t, versions[len(versions)-1])
		for _, document := range documents {
			if err := published.Check(document); err != nil {
				t.Error(document.Name, err)
			}
		}
		if all := complaints(t, Pods(documents)); len(all) > 0 {
			t.Error(all)
		}
	}
	if told, err := Helm(".", "lint", "--strict", "--quiet", chart); err != nil {
		t.Error(told, err)
	}
}

func TestTheSidecarIsReadyBeforeTheServiceAndGoesOnBesideIt(t *testing.T) {
	documents, err := beside(t, assistant(t))
	if err != nil {
		t.Fatal(err)
	}
	pod := Pods(documents)[0].Spec
	sidecar, service := pod.InitContainers[0], pod.Containers[0]
	if sidecar.RestartPolicy == nil || *sidecar.RestartPolicy != core.ContainerRestartPolicyAlways {
		t.Error("it would have to end before the service starts:", sidecar.RestartPolicy)
	}
	if sidecar.StartupProbe.GRPC.Service != nil || *sidecar.LivenessProbe.GRPC.Service != "modelward.live" {
		t.Error(sidecar.StartupProbe, sidecar.LivenessProbe)
	}
	if mounted := pod.AutomountServiceAccountToken; mounted == nil || *mounted || !*sidecar.SecurityContext.ReadOnlyRootFilesystem ||
		sidecar.Resources.Limits.Memory().IsZero() {
		t.Error("it may more than it needs")
	}
	shared := func(container core.Container) string {
		for _, mount := range container.VolumeMounts {
			if mount.Name == "modelward-socket" {
				return mount.MountPath
			}
		}
		return "nowhere"
	}
	if shared(sidecar) != "/run/modelward" || shared(service) != shared(sidecar) ||
		!slices.Contains(sidecar.Args, "--unix-socket=/run/modelward/api.sock") {
		t.Error("they do not share the socket")
	}
	for _, mount := range service.VolumeMounts {
		if mount.Name != "modelward-socket" {
			t.Error("the service sees", mount.Name)
		}
	}
	for _, volume := range pod.Volumes {
		if volume.Projected != nil && volume.Projected.Sources[0].ServiceAccountToken.Audience != "modelward" {
			t.Error("the sidecar's token is for others too")
		}
	}
}

func TestTheSidecarIsOfTheVersionOfTheProgram(t *testing.T) {
	version := regexp.MustCompile(`(?m)^version = "(.*)"$`).FindStringSubmatch(text(t, "Cargo.toml"))[1]
	documents, err := beside(t, assistant(t))
	if err != nil {
		t.Fatal(err)
	}
	if image := Pods(documents)[0].Spec.InitContainers[0].Image; !strings.HasSuffix(image, ":"+version) {
		t.Error(image, "is not", version)
	}
	for _, name := range Names {
		if about := text(t, "helm", name, "Chart.yaml"); !strings.Contains(about, "\nversion: "+version+"\nappVersion: \""+version+"\"\n") {
			t.Error(name, "is not", version)
		}
	}
}

// What the program's own sources declare.
func TestTheSidecarIsStartedWithFlagsThatThereAre(t *testing.T) {
	source := text(t, "src", "cli", "sidecar.rs")
	documents, err := beside(t, assistant(t))
	if err != nil {
		t.Fatal(err)
	}
	arguments := Pods(documents)[0].Spec.InitContainers[0].Args
	if arguments[0] != "sidecar" || len(arguments) < 8 {
		t.Error(arguments)
	}
	unknown := func(argument string) bool {
		name, _, _ := strings.Cut(strings.TrimPrefix(argument, "--"), "=")
		return !regexp.MustCompile(`(?m)^    ` + strings.ReplaceAll(name, "-", "_") + `: `).MatchString(source)
	}
	for _, argument := range arguments[1:] {
		if unknown(argument) {
			t.Error("there is no", argument)
		}
	}
	if !unknown("--up-stream=x") {
		t.Error("a flag that is not there is not noticed")
	}
}

func TestAnImpossibleSidecarIsRefusedWithARemedy(t *testing.T) {
	chart := assistant(t)
	for set, told := range map[string]string{
		"upstream=":                    "needs upstream",
		"upstream=modelward:50051":     "/upstream",
		"upstream=http://modelward:1":  "serveSecrets needs TLS",
		`upstream=https://a\,http://b`: "serveSecrets needs TLS",
		"ca.secret=b":                  "choose one",
		"ports.ops=50051":              "choose two",
		`settings.unix_socket=x`:       "is set by the chart itself",
		`settings.sidecar\.writes=x`:   "is set by the chart itself",
		"localTokens.key=x":            "'localTokens' not allowed",
		"upstreams=x":                  "'upstreams' not allowed",
		"socketMode=660":               "/socketMode",
		"identity.expirationSeconds=1": "/identity/expirationSeconds",
	} {
		if _, err := beside(t, chart, set); err == nil || !strings.Contains(err.Error(), told) {
			t.Errorf("%s: expected %q, got %v", set, told, err)
		}
	}
}
