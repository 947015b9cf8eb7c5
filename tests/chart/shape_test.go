package chart

import (
	"maps"
	"slices"
	"strings"
	"testing"

	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
)

func example(name string) []string {
	return []string{"--values", Dir + "/ci/" + name + "-values.yaml"}
}

func one[T any](t *testing.T, documents []Document) *T {
	t.Helper()
	found := Find[T](documents)
	if len(found) != 1 {
		t.Fatalf("expected one %T, not %d", found, len(found))
	}
	return found[0]
}

func TestPostgresHasADeploymentAndNoVolume(t *testing.T) {
	documents := render(t, example("postgres")...)
	deployment := one[apps.Deployment](t, documents)
	if len(Find[apps.StatefulSet](documents)) > 0 || *deployment.Spec.Replicas != 3 {
		t.Error("expected a deployment of three replicas alone")
	}
	for _, volume := range deployment.Spec.Template.Spec.Volumes {
		if volume.Secret == nil && volume.ConfigMap == nil {
			t.Error(volume.Name, "is neither secret nor settings")
		}
	}
	if update := deployment.Spec.Strategy.RollingUpdate; update.MaxUnavailable.IntValue() != 0 {
		t.Error("a rollout takes pods away before their successors are ready")
	}
}

func TestSqliteIsOnePodOnItsOwnVolume(t *testing.T) {
	set := one[apps.StatefulSet](t, render(t, example("sqlite-keyed")...))
	if *set.Spec.Replicas != 1 || set.Spec.ServiceName != "modelward-headless" || len(set.Spec.VolumeClaimTemplates) != 1 {
		t.Error("expected one replica behind the headless service with one claim")
	}
	claim := set.Spec.VolumeClaimTemplates[0]
	if claim.Name != "data" || claim.Spec.Resources.Requests.Storage().String() != "2Gi" || *claim.Spec.StorageClassName != "fast" {
		t.Error(claim)
	}
	given := one[apps.StatefulSet](t, render(t, example("sqlite-claim")...))
	named := slices.ContainsFunc(given.Spec.Template.Spec.Volumes, func(volume core.Volume) bool {
		return volume.Name == "data" && volume.PersistentVolumeClaim.ClaimName == "modelward-data"
	})
	if !named || len(given.Spec.VolumeClaimTemplates) > 0 {
		t.Error("the claim that was named is not the one that is used")
	}
}

func TestTheUrlOfTheDatabaseComesFromASecretAndIsNowhereElse(t *testing.T) {
	documents := render(t, example("everything")...)
	pod := one[apps.Deployment](t, documents).Spec.Template.Spec
	for _, container := range slices.Concat(pod.InitContainers, pod.Containers) {
		at := slices.IndexFunc(container.Env, func(variable core.EnvVar) bool { return variable.Name == "MODELWARD_DATABASE_URL" })
		if at < 0 || container.Env[at].ValueFrom.SecretKeyRef.Name != "pg-app" || container.Env[at].ValueFrom.SecretKeyRef.Key != "uri" {
			t.Error(container.Name, "does not take the URL from its secret")
		}
	}
	for _, settings := range Find[core.ConfigMap](documents) {
		if text := settings.Data["modelward.toml"]; strings.Contains(text, "url") || strings.Contains(text, "master_keys") {
			t.Error(text)
		}
	}
	if made := Find[core.Secret](documents); len(made) > 0 {
		t.Error("the chart makes no secrets: they would stand in the release")
	}
}

func TestMigrationsAndServerAreTheSameImageWithTheSameDatabase(t *testing.T) {
	forEachExample(t, func(t *testing.T, documents []Document) {
		pod := Pods(documents)[0].Spec
		if len(pod.InitContainers) != 1 || len(pod.Containers) != 1 {
			t.Fatal("expected one container before and one after")
		}
		migrate, serve := pod.InitContainers[0], pod.Containers[0]
		if migrate.Image != serve.Image || !slices.Equal(migrate.Args, []string{"migrate"}) || !slices.Equal(serve.Args, []string{"serve"}) {
			t.Error(migrate.Image, migrate.Args, serve.Image, serve.Args)
		}
		if len(migrate.Env) != len(serve.Env) || len(migrate.VolumeMounts) != len(serve.VolumeMounts) {
			t.Error("the two do not see the same")
		}
		volumes := map[string]bool{"data": true}
		for _, volume := range pod.Volumes {
			volumes[volume.Name] = true
		}
		for _, mount := range serve.VolumeMounts {
			if !volumes[mount.Name] {
				t.Error("no volume", mount.Name)
			}
		}
	})
}

func TestLivenessDoesNotFollowTheDatabase(t *testing.T) {
	server := one[apps.StatefulSet](t, render(t)).Spec.Template.Spec.Containers[0]
	// The empty name may be bound to the age of what is in memory, modelward.writes follows the database.
	for _, probe := range []*core.Probe{server.LivenessProbe, server.StartupProbe} {
		if probe.GRPC == nil || probe.GRPC.Service == nil || *probe.GRPC.Service != "modelward.live" || probe.GRPC.Port != 9090 {
			t.Error(probe)
		}
	}
	if ready := server.ReadinessProbe; ready.GRPC == nil || ready.GRPC.Service != nil || ready.GRPC.Port != 9090 {
		t.Error(ready)
	}
	if !strings.Contains(text(t, "src", "app", "readiness.rs"), `"modelward.live"`) {
		t.Error("no server knows the name")
	}
}

func TestAChangeOfSettingsRestartsThePods(t *testing.T) {
	sum := func(arguments ...string) string {
		return Pods(render(t, arguments...))[0].Meta.Annotations["checksum/config"]
	}
	if sum() != sum() || sum() == sum("--set", `settings.log\.level=debug`) || len(sum()) != 64 {
		t.Error("the checksum does not follow the settings")
	}
}

func TestSelectorsMeetTheServerAndNotTheTest(t *testing.T) {
	forEachExample(t, func(t *testing.T, documents []Document) {
		server, test := labels.Set(Pods(documents)[0].Meta.Labels), labels.Set(Pods(documents)[1].Meta.Labels)
		var selectors []map[string]string
		for _, service := range Find[core.Service](documents) {
			selectors = append(selectors, service.Spec.Selector)
		}
		for _, budget := range Find[policy.PodDisruptionBudget](documents) {
			selectors = append(selectors, budget.Spec.Selector.MatchLabels)
		}
		for _, rules := range Find[networking.NetworkPolicy](documents) {
			selectors = append(selectors, rules.Spec.PodSelector.MatchLabels)
		}
		for _, spread := range Pods(documents)[0].Spec.TopologySpreadConstraints {
			selectors = append(selectors, spread.LabelSelector.MatchLabels)
		}
		if len(selectors) < 4 {
			t.Error("expected more than", selectors)
		}
		for _, selector := range selectors {
			if chosen := labels.SelectorFromSet(selector); !chosen.Matches(server) || chosen.Matches(test) {
				t.Error(selector)
			}
		}
		for _, document := range documents {
			if len(document.Name) > 63 {
				t.Error(document.Name)
			}
		}
	})
}

func TestServicesLeadToPortsThatThereAre(t *testing.T) {
	documents := render(t, example("everything")...)
	ports := map[string]int32{}
	for _, port := range Pods(documents)[0].Spec.Containers[0].Ports {
		ports[port.Name] = port.ContainerPort
	}
	if !maps.Equal(ports, map[string]int32{"grpc": 50051, "ops": 9090}) {
		t.Error(ports)
	}
	toml := one[core.ConfigMap](t, documents).Data["modelward.toml"]
	if !strings.Contains(toml, `listen = "0.0.0.0:50051"`) || !strings.Contains(toml, `ops_listen = "0.0.0.0:9090"`) {
		t.Error(toml)
	}
	for _, service := range Find[core.Service](documents) {
		for _, port := range service.Spec.Ports {
			if ports[port.TargetPort.String()] == 0 {
				t.Error(service.Name, port)
			}
		}
		if strings.HasSuffix(service.Name, "-headless") != (service.Spec.ClusterIP == core.ClusterIPNone) {
			t.Error(service.Name)
		}
	}
	monitor := one[monitoring.ServiceMonitor](t, documents)
	scraped := 0
	for _, service := range Find[core.Service](documents) {
		named := slices.ContainsFunc(service.Spec.Ports, func(port core.ServicePort) bool { return port.Name == monitor.Spec.Endpoints[0].Port })
		if named && labels.SelectorFromSet(monitor.Spec.Selector.MatchLabels).Matches(labels.Set(service.Labels)) {
			scraped++
		}
	}
	if scraped != 1 {
		t.Error("each pod would be scraped", scraped, "times")
	}
}

func TestABudgetIsOnlyForSeveralReplicas(t *testing.T) {
	if budgets := Find[policy.PodDisruptionBudget](render(t)); len(budgets) > 0 {
		t.Error("one replica could never be drained")
	}
	if budget := one[policy.PodDisruptionBudget](t, render(t, example("postgres")...)); budget.Spec.MaxUnavailable.IntValue() != 1 {
		t.Error(budget.Spec)
	}
}

func TestTheNetworkPolicyKeepsStrangersFromTheMetrics(t *testing.T) {
	rules := one[networking.NetworkPolicy](t, render(t)).Spec
	if len(rules.Ingress) != 2 || len(rules.Ingress[0].From) != 0 || len(rules.Ingress[1].From) != 1 || len(rules.Egress) != 0 {
		t.Error(rules)
	}
	bounded := one[networking.NetworkPolicy](t, render(t, example("everything")...)).Spec
	// The pod of `helm test` and those who were named.
	if len(bounded.Ingress[0].From) != 2 || len(bounded.Ingress[1].From) != 2 || len(bounded.Egress) != 2 || len(bounded.PolicyTypes) != 2 {
		t.Error(bounded)
	}
}

func TestACertificateCoversTheNamesThatClientsUse(t *testing.T) {
	documents := render(t, example("everything")...)
	certificate := one[certmanager.Certificate](t, documents).Spec
	for _, name := range []string{"llm-config", "llm-config.llm.svc", "llm-config-headless.llm.svc.cluster.local", "localhost"} {
		if !slices.Contains(certificate.DNSNames, name) {
			t.Error("no", name)
		}
	}
	pod := Pods(documents)[0].Spec
	mounted := slices.ContainsFunc(pod.Volumes, func(volume core.Volume) bool {
		return volume.Secret != nil && volume.Secret.SecretName == certificate.SecretName
	})
	if !mounted || !strings.Contains(one[core.ConfigMap](t, documents).Data["modelward.toml"], "tls.cert_file") {
		t.Error("the server does not use its certificate")
	}
}

func TestTheTestCallsOverTlsWhereItKnowsTheNames(t *testing.T) {
	const issued = "tls.certManager.enabled=true,tls.certManager.issuerRef.name=i"
	const clients = ",tls.clientCa.existingSecret=c,tls.clientAuth="
	const ops = " --ops-server=http://modelward-ops:9090"
	const writes = "health --server=http://modelward-ops:9090 --service=modelward.writes"
	for set, expected := range map[string]string{
		"":                                 "doctor --server=http://modelward:50051" + ops + " --without-token",
		"bootstrapToken.existingSecret=t":  "doctor --server=http://modelward:50051" + ops + " --token-file=/etc/modelward/token/token",
		"test.existingSecret=t,test.key=k": "doctor --server=http://modelward:50051" + ops + " --token-file=/etc/modelward/token/token",
		issued:                             "doctor --server=https://modelward:50051 --ca-file=/etc/modelward/tls/ca.crt" + ops + " --without-token",
		issued + ",tls.caKey=root.crt":     "doctor --server=https://modelward:50051 --ca-file=/etc/modelward/tls/root.crt" + ops + " --without-token",
		issued + ",tls.certManager.dnsNames={llm.example.com}": writes,
		issued + clients + "optional":                          "doctor --server=https://modelward:50051 --ca-file=/etc/modelward/tls/ca.crt" + ops + " --without-token",
		issued + clients + "required":                          writes,
		"tls.existingSecret=own,tls.caKey=ca.crt":              writes,
	} {
		called := strings.Join(one[core.Pod](t, render(t, "--set", set)).Spec.Containers[0].Args, " ")
		if called != expected {
			t.Errorf("%s: %q is called, not %q", set, called, expected)
		}
	}
}

func TestWhatTheUserChoosesReachesThePods(t *testing.T) {
	pod := Pods(render(t, example("everything")...))[0]
	spec := pod.Spec
	if spec.PriorityClassName != "high" || spec.NodeSelector["kubernetes.io/arch"] != "amd64" || len(spec.Tolerations) != 1 ||
		spec.Affinity == nil || spec.ImagePullSecrets[0].Name != "registry" || spec.ServiceAccountName != "llm-config-server" ||
		*spec.TerminationGracePeriodSeconds != 90 || pod.Meta.Labels["example.com/tier"] != "platform" ||
		spec.TopologySpreadConstraints[0].WhenUnsatisfiable != core.DoNotSchedule {
		t.Error(spec)
	}
	if user := Pods(render(t, example("openshift")...))[0].Spec.SecurityContext; user.RunAsUser != nil || user.FSGroup != nil || !*user.RunAsNonRoot {
		t.Error(user)
	}
}
