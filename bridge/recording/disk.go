package recording

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// Disk is where recordings are kept.
type Disk interface {
	// Create makes a file that is not there yet, and the folders that it stands in.
	Create(name string) (File, error)
	Remove(name string) error
}

// File is one that is being written.
type File interface {
	io.Writer
	io.WriterAt
	io.Closer
	Truncate(size int64) error
}

// localDisk is this machine's.
type localDisk struct{}

func (localDisk) Create(name string) (File, error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return nil, err
	}
	out, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (localDisk) Remove(name string) error { return os.Remove(name) }

// EndOf names how a recording ended that failed with err, of Start or of the disk: DiskFull, Fault or WriteError.
func EndOf(err error) string {
	switch {
	case errors.Is(err, errFault):
		return Fault
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return DiskFull
	}
	return WriteError
}

// names are the files of a recording that begins now.
func (o Options) names(start time.Time) []string {
	name := filepath.Join(o.Folder, plain(o.Tenant), start.UTC().Format("20060102T150405.000Z")+"-"+plain(o.Call))
	var files []string
	for _, format := range []string{"wav", "pcap"} {
		if o.Format == format || o.Format == "both" {
			files = append(files, name+"."+format)
		}
	}
	return files
}

// newSink makes the writer for a file's format, by how its name ends.
func newSink(name string, out File, start time.Time) sink {
	if strings.HasSuffix(name, ".wav") {
		return newSound(out)
	}
	return newCapture(out, start)
}

// plain keeps of a text what is safe in the name of a file.
func plain(name string) string {
	name = regexp.MustCompile(`[^A-Za-z0-9_.-]+`).ReplaceAllString(name, "_")
	return strings.TrimLeft(name, ".")
}
