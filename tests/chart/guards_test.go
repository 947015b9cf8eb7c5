package chart

import (
	"strings"
	"testing"
)

const account = "identity.kubernetes.accounts[0].namespace=llm,identity.kubernetes.accounts[0].name=a,identity.kubernetes.accounts[0].roles={viewer}"

const postgres = "database.existingSecret=d,masterKeys.existingSecret=k,bootstrapToken.existingSecret=t"

// Each of these would start nothing, or something unsafe; the message says what to do.
func TestImpossibleValuesAreRefusedWithARemedy(t *testing.T) {
	for set, told := range map[string]string{
		"replicaCount=2":            "replicaCount above 1 needs PostgreSQL",
		"database.existingSecret=d": "PostgreSQL needs masterKeys.existingSecret",
		"database.existingSecret=d,masterKeys.existingSecret=k":                  "PostgreSQL needs bootstrapToken.existingSecret",
		postgres + ",persistence.existingClaim=c":                                "leave one of them out",
		`settings.database\.url=postgres://u:p@h/d`:                              "would put a secret into a ConfigMap",
		`settings.master_keys=k1:x`:                                              "would put a secret into a ConfigMap",
		`settings.listen=0.0.0.0:1`:                                              "is set by the chart itself",
		`settings.tls\.key_file=x`:                                               "is set by the chart itself",
		`settings.shutdown\.hard_limit=1m`:                                       "pods would be killed within their shutdown.hard_limit of 1m",
		"terminationGracePeriodSeconds=25":                                       "pods would be killed within their shutdown.hard_limit of 25s",
		"tls.existingSecret=a,tls.certManager.enabled=true":                      "choose one",
		"tls.certManager.enabled=true":                                           "needs tls.certManager.issuerRef.name",
		"tls.clientAuth=required":                                                "tls.clientAuth needs TLS",
		"tls.clientAuth=required,tls.existingSecret=a":                           "needs tls.clientCa.existingSecret",
		"tls.clientAuth=on":                                                      "at '/tls/clientAuth'",
		"identity.kubernetes.issuer=https://a":                                   "needs identity.kubernetes.accounts",
		account:                                                                  "needs identity.kubernetes.issuer",
		account + ",identity.kubernetes.accounts[0].roles={owner}":               "at '/identity/kubernetes/accounts/0/roles/0'",
		"identity.certificates[0].dns=a,identity.certificates[0].roles={viewer}": "needs tls.clientAuth",
		"identity.issuers[0].name=a":                                             "at '/identity/issuers/0'",
		`logFilter=warn,settings.log\.level=info`:                                "two filters",
		"tracing.endpoint=collector:4317":                                        "at '/tracing/endpoint'",
		"tracing.ratio=2":                                                        "at '/tracing/ratio'",
		"serviceMonitor.enabled=true":                                            "needs networkPolicy.scrapers",
		"prometheusRule.enabled=true":                                            "needs serviceMonitor.enabled",
		"database.existingsecret=d":                                              "'existingsecret' not allowed",
		"databse.existingSecret=d":                                               "'databse' not allowed",
		"replicaCount=two":                                                       "want integer",
		"settings.log.format=json":                                               "at '/settings/log'",
		"image.digest=latest":                                                    "at '/image/digest'",
		"service.port=0":                                                         "at '/service/port'",
		"podDisruptionBudget.maxUnavailable=0":                                   "at '/podDisruptionBudget/maxUnavailable'",
	} {
		if _, err := Render("--set", set); err == nil || !strings.Contains(err.Error(), told) {
			t.Errorf("%s: expected %q, got %v", set, told, err)
		}
	}
}

func TestPossibleValuesAreNot(t *testing.T) {
	for _, set := range []string{
		"replicaCount=0", postgres, postgres + ",replicaCount=5", "global.a.b=1,enabled=true", `settings.shutdown\.hard_limit=900ms`,
		"networkPolicy.enabled=false,serviceMonitor.enabled=true,prometheusRule.enabled=true",
	} {
		if _, err := Render("--set", set); err != nil {
			t.Error(err)
		}
	}
}
