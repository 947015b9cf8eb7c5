package chart

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/pod-security-admission/api"
	podsecurity "k8s.io/pod-security-admission/policy"
)

// The oldest version that Chart.yaml allows, and the newest whose schemas are at hand.
var versions = []string{"1.27", "1.30"}

func TestMain(m *testing.M) {
	if _, err := exec.LookPath("helm"); err != nil {
		fmt.Fprintln(os.Stderr, "helm is missing; `.ci/run chart` installs it and runs these tests")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func render(t *testing.T, arguments ...string) []Document {
	t.Helper()
	documents, err := Render(arguments...)
	if err != nil {
		t.Fatal(err)
	}
	return documents
}

// Runs a check on what each file of values renders.
func forEachExample(t *testing.T, check func(*testing.T, []Document)) {
	examples, err := Examples()
	if err != nil || len(examples) < 6 {
		t.Fatal(examples, err)
	}
	for _, example := range examples {
		t.Run(filepath.Base(example), func(t *testing.T) { check(t, render(t, "--values", example)) })
	}
}

func release(t *testing.T, version string) Published {
	t.Helper()
	published, err := Release(version)
	if err != nil {
		t.Fatal(err)
	}
	return published
}

func TestTheChartIsSoundForHelm(t *testing.T) {
	examples, _ := Examples()
	for _, example := range examples {
		if told, err := Helm(".", "lint", "--strict", "--quiet", Dir, "--values", example); err != nil {
			t.Error(told, err)
		}
	}
}

func TestEverythingRenderedIsWhatKubernetesTakes(t *testing.T) {
	oldest, err := Text("helm", "modelward", "Chart.yaml")
	if err != nil || !strings.Contains(oldest, `kubeVersion: ">=`+versions[0]+`.0-0"`) {
		t.Fatal("Chart.yaml allows another oldest version than", versions[0], err)
	}
	for _, version := range versions {
		published := release(t, version)
		forEachExample(t, func(t *testing.T, documents []Document) {
			for _, document := range documents {
				if err := published.Check(document); err != nil {
					t.Errorf("Kubernetes %s: %s %s: %v", version, document.Kind, document.Name, err)
				}
			}
		})
	}
}

func TestWhatKubernetesWouldRefuseIsRefusedHere(t *testing.T) {
	sound := `{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {type: ClusterIP, ports: [{port: 1}]}}`
	published := release(t, "1.30")
	for _, change := range [][2]string{
		{"type: ClusterIP", "typ: ClusterIP"},
		{"port: 1", "port: one"},
		{"{port: 1}", "{name: a}"},
		{"v1, kind: Service", "v9, kind: Service"},
		{"kind: Service", "kind: Servant"},
		{"name: a", "name: a, name: b"},
		{"", ""},
	} {
		documents, err := Read(strings.Replace(sound, change[0], change[1], 1))
		if err == nil {
			err = published.Check(documents[0])
		}
		if (err == nil) != (change[0] == "") {
			t.Error(change, err)
		}
	}
}

// Evaluates pods as Kubernetes' own admission does for a namespace with the level `restricted`.
func complaints(t *testing.T, pods []Pod) (all []string) {
	t.Helper()
	evaluator, err := podsecurity.NewEvaluator(podsecurity.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, pod := range pods {
		for _, result := range evaluator.EvaluatePod(level, &pod.Meta, &pod.Spec) {
			if !result.Allowed {
				all = append(all, pod.Owner+": "+result.ForbiddenReason+": "+result.ForbiddenDetail)
			}
		}
	}
	return all
}

func TestEveryPodIsRestricted(t *testing.T) {
	forEachExample(t, func(t *testing.T, documents []Document) {
		pods := Pods(documents)
		if len(pods) != 2 {
			t.Fatal("expected the server's and the test's pod, not", len(pods))
		}
		if all := complaints(t, pods); len(all) > 0 {
			t.Error(all)
		}
		for _, pod := range pods {
			if mounted := pod.Spec.AutomountServiceAccountToken; mounted == nil || *mounted {
				t.Error(pod.Owner, "gets a token of Kubernetes")
			}
			for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
				if only := container.SecurityContext.ReadOnlyRootFilesystem; only == nil || !*only {
					t.Error(pod.Owner, container.Name, "may write to its root")
				}
				if container.Resources.Limits.Memory().IsZero() {
					t.Error(pod.Owner, container.Name, "has no bound of memory")
				}
			}
		}
	})
}

func TestAPodThatMayMoreIsNoticed(t *testing.T) {
	for _, seeded := range []string{
		"podSecurityContext.runAsNonRoot=false", "securityContext.allowPrivilegeEscalation=true", "securityContext.capabilities.drop=null",
		"podSecurityContext.seccompProfile=null", "podSecurityContext.runAsUser=0",
	} {
		if all := complaints(t, Pods(render(t, "--set", seeded))); len(all) == 0 {
			t.Error("nobody complains about", seeded)
		}
	}
}
