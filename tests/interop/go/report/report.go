// Package report is what the programs share: where everything is, and one line for each check. A
// program ends at its first check that does not hold, with exit code 1.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
)

// Issuer is the broker's public address, Work the folder with what it issued.
var (
	Issuer = os.Getenv("TASKPASS_HTTP")
	Work   = os.Getenv("INTEROP_WORK")
)

// Check prints a check.
func Check(holds bool, format string, values ...any) {
	word := "ok"
	if !holds {
		word = "FAILED"
	}
	fmt.Printf("%-8s%s\n", word, fmt.Sprintf(format, values...))
	if !holds {
		os.Exit(1)
	}
}

// Refused checks that there is an error, and that it is that one.
func Refused(err error, is bool, format string, values ...any) {
	if err == nil {
		Check(false, "%s: accepted", fmt.Sprintf(format, values...))
	}
	Check(is, "%s: %v", fmt.Sprintf(format, values...), err)
}

// Fetch reads what the broker publishes there.
func Fetch(path string) []byte {
	reply, err := http.Get(Issuer + path)
	if err != nil {
		Check(false, "%v", err)
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	Check(err == nil && reply.StatusCode == http.StatusOK, "%s can be fetched", path)
	return body
}

// Read reads JSON from a file of the work folder.
func Read(into any, path ...string) {
	text, err := os.ReadFile(File(path...))
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		Check(false, "%v", err)
	}
}

// File is a path in the work folder.
func File(path ...string) string {
	return filepath.Join(append([]string{Work}, path...)...)
}

// Holder is what the broker issued for this part.
type Holder struct {
	Task, Es256, Eddsa, Cloud string
	IDs                       map[string]string
}
